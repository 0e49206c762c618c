import type {
  ForwardAuthConfiguration,
  SiteConfiguration,
  Sourced,
  UpstreamConfiguration,
} from "../../config/configuration.ts";

/** The name under which an auth server is among the upstreams, in metrics and in log lines. */
export function authServerName(site: string, from: string): string {
  return `forwardAuth of ${site}${from}`;
}

/** The rules of a site that ask an auth server, each once. */
export function authRules(site: SiteConfiguration): readonly Sourced<ForwardAuthConfiguration>[] {
  const byPrefix = new Map<string, Sourced<ForwardAuthConfiguration>>();
  for (const { protection } of [site, ...site.paths]) {
    const rule = protection.forwardAuth;
    if (rule !== null) byPrefix.set(rule.from, rule);
  }
  return [...byPrefix.values()];
}

/**
 * The sites' auth servers as upstreams, so that their connections are kept as an app's are, also over a reload.
 * Nothing is held or queued for them: a request that waits for leave is refused once `timeout` is over.
 */
export function authServers(
  sites: readonly SiteConfiguration[],
): { readonly upstream: UpstreamConfiguration; readonly names: readonly string[] }[] {
  return sites.flatMap((site) =>
    authRules(site).map(({ from, value }) => ({
      names: site.names,
      upstream: {
        name: authServerName(site.names[0], from),
        to: [value.address] as const,
        connectTimeout: value.timeout,
        responseTimeout: value.timeout,
        maxConcurrent: null,
        queueLength: 0,
        queueTimeout: 0,
        restartGrace: 0,
        healthCheck: null,
        proxyProtocol: null,
      },
    })),
  );
}
