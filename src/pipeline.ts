import type { Configuration, SiteConfiguration } from "./config/configuration.ts";
import type { Deadlines } from "./exchange/deadlines.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { filtersInOrder, type ResponseFilter } from "./exchange/response-filter.ts";
import { answerAcmeChallenge, isAcmeChallenge } from "./handlers/acme-challenge.ts";
import { compression } from "./handlers/compression.ts";
import { cookieAttributes } from "./handlers/cookies.ts";
import { respondWithError } from "./handlers/error-page.ts";
import { redirectToCanonical, redirectToHttps } from "./handlers/https-redirect.ts";
import { proxy } from "./handlers/proxy.ts";
import { securityHeaders } from "./handlers/security-headers.ts";
import { createStaticSite, type StaticSite } from "./handlers/static-site.ts";
import type { RequestCounts } from "./metrics/request-counts.ts";
import type { CertificateTable } from "./tls/certificate-table.ts";
import { UpstreamPool } from "./upstream/pool.ts";

/** A site with everything that can be made before a request comes. */
interface Site {
  readonly name: string;
  readonly canonical: string | null;
  readonly files: StaticSite | null;
  readonly pool: UpstreamPool | null;
  readonly maxBody: number;
  readonly finishFields: (fields: string[], exchange: Exchange) => void;
  readonly filter: ResponseFilter;
}

export interface PipelineState {
  readonly challenges: ReadonlyMap<string, string>;
  readonly certificates: CertificateTable;
}

/**
 * A request's way through the handlers, outermost first: challenge, https, site, canonical name, static files, app.
 * Made anew for each configuration; requests under way keep the one that they began with.
 */
export class Pipeline {
  readonly #sites = new Map<string, Site>();
  readonly #state: () => PipelineState;
  readonly #httpsPort: number | null;
  readonly #counts: RequestCounts;
  readonly #pools: UpstreamPool[] = [];

  constructor(
    configuration: Configuration,
    deadlines: Deadlines,
    counts: RequestCounts,
    state: () => PipelineState,
  ) {
    this.#state = state;
    this.#counts = counts;
    const https = configuration.listen.https[0];
    this.#httpsPort = https === undefined ? null : "port" in https ? https.port : 443;
    for (const site of configuration.sites) this.#add(site, deadlines);
  }

  handle(exchange: Exchange): void {
    if (!exchange.secure) {
      if (isAcmeChallenge(exchange.target)) return answerAcmeChallenge(exchange, this.#state().challenges);
      if (this.#httpsPort !== null) return this.#toHttps(exchange, this.#httpsPort);
    }
    const host = hostName(exchange.host);
    const site = this.#find(host);
    if (site === undefined || !this.#state().certificates.covers(exchange.serverName, host)) {
      exchange.failure = `no site called ${host} on this connection; add the name to a site if it should be served`;
      return respondWithError(exchange, 421);
    }
    exchange.site = site.name;
    if (site.canonical !== null && site.canonical !== host)
      return redirectToCanonical(exchange, site.canonical);
    if (site.files !== null && site.files.answer(exchange)) return;
    if (site.pool === null) return respondWithError(exchange, 404);
    const { pool } = site;
    return proxy(exchange, {
      pool,
      maxBody: site.maxBody,
      finishFields: site.finishFields,
      filter: site.filter,
      counted: (outcome) => this.#counts.upstream(pool.upstream.name, outcome),
    });
  }

  /** Idle connections to the apps are closed; those in use finish what they carry. */
  close(): void {
    for (const pool of this.#pools) pool.close();
  }

  #toHttps(exchange: Exchange, port: number): void {
    const host = hostName(exchange.host);
    const site = this.#find(host);
    if (site === undefined) {
      exchange.failure = `no site called ${host}; add the name to a site if it should be served`;
      return respondWithError(exchange, 421);
    }
    exchange.site = site.name;
    return redirectToHttps(exchange, host, port);
  }

  #find(host: string): Site | undefined {
    return this.#sites.get(host) ?? this.#sites.get(`*${host.slice(Math.max(0, host.indexOf(".")))}`);
  }

  #add(site: SiteConfiguration, deadlines: Deadlines): void {
    const pool = site.upstream === null ? null : this.#poolFor(site.upstream, deadlines);
    const setHeaders = securityHeaders(site);
    const completeCookies = site.cookies === null ? null : cookieAttributes(site.cookies);
    const finishFields = (fields: string[], exchange: Exchange): void => {
      completeCookies?.(fields, exchange.secure);
      setHeaders(fields, exchange);
    };
    const made: Site = {
      name: site.names[0],
      canonical: site.canonical,
      files:
        site.static.length === 0
          ? null
          : createStaticSite(site.static, finishFields, { compress: site.compress }),
      pool,
      maxBody: site.maxBody,
      finishFields,
      filter: filtersInOrder(site.compress ? [compression] : []),
    };
    for (const name of site.names) this.#sites.set(name, made);
  }

  #poolFor(upstream: NonNullable<SiteConfiguration["upstream"]>, deadlines: Deadlines): UpstreamPool {
    const same = this.#pools.find((pool) => pool.upstream.name === upstream.name);
    if (same !== undefined) return same;
    const pool = new UpstreamPool(upstream, deadlines);
    this.#pools.push(pool);
    return pool;
  }
}

/** Host without its port and in lower case; an IPv6 address without its brackets. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  return (bracketed?.[1] ?? host.split(":")[0] ?? "").toLowerCase();
}
