import type { CertificateChoice, OnDemandConfiguration, UpstreamConfiguration } from "./configuration.ts";
import type { IssuerConfiguration } from "./configuration.ts";
import type { AssemblyContext } from "./context.ts";
import { parseRate } from "./measures.ts";
import { placeOf, type SectionValues } from "./section-values.ts";

/** Browsers give up a handshake soon after, milliseconds. */
const LONGEST_WAIT = 20_000;

/** What of the site counts here. */
interface Site {
  readonly upstream: UpstreamConfiguration | null;
  readonly certificate: CertificateChoice;
  readonly issuers: readonly IssuerConfiguration[];
}

/** Null where the site has none. */
export function assembleOnDemand(
  site: SectionValues,
  { upstream, certificate, issuers }: Site,
  { problems }: AssemblyContext,
): OnDemandConfiguration | null {
  const section = site.one["onDemand"];
  if (section === undefined) return null;
  const ask = String(section.values["ask"]);
  const wait = section.values["wait"] as number;
  if (typeof wait === "number" && (wait > LONGEST_WAIT || wait < 1))
    problems.add(placeOf(section, ["wait"]), "a handshake waits for 20s at most; write for example 20s");
  if (ask.startsWith("/")) {
    if (!site.entries.has("upstream"))
      problems.add(
        placeOf(section, ["ask"]),
        "ask is a path and the site has no upstream to ask; write a URL",
      );
    else if (upstream !== null && upstream.proxyProtocol !== null)
      problems.add(
        placeOf(section, ["ask"]),
        "ask is a path and the upstream wants a PROXY header, which a question has no client for; write a URL",
      );
  }
  if (site.entries.has("canonical"))
    problems.add(
      placeOf(site, ["canonical"], true),
      "canonical would redirect every name that onDemand serves; give it to a site of its own",
    );
  return {
    ask,
    limit: parseRate(String(section.values["limit"])) ?? { requests: 1, per: 3_600_000 },
    wait,
    local: certificate.kind === "local" || issuers.every(({ kind }) => kind === "local"),
  };
}

/** A name that no site has can belong to one site only. */
export function checkOneOnDemand(sites: readonly SectionValues[], { problems }: AssemblyContext): void {
  const [first, ...others] = sites.filter(({ one }) => one["onDemand"] !== undefined);
  for (const site of others)
    problems.add(
      placeOf(site, ["onDemand"], true),
      `another site has onDemand already (line ${first?.place.line}); only one can be there for all other names`,
    );
}
