import type { BufferingConfiguration, Configuration, SiteConfiguration } from "./config/configuration.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { filtersInOrder, type ResponseFilter } from "./exchange/response-filter.ts";
import { answerAcmeChallenge, isAcmeChallenge } from "./handlers/acme-challenge.ts";
import { compression } from "./handlers/compression.ts";
import { cookieAttributes } from "./handlers/cookies.ts";
import { respondWithError } from "./handlers/error-page.ts";
import { redirectToCanonical, redirectToHttps } from "./handlers/https-redirect.ts";
import type { MaintenanceTable } from "./handlers/maintenance.ts";
import { proxy, type ProxyOptions } from "./handlers/proxy.ts";
import { securityHeaders } from "./handlers/security-headers.ts";
import { createStaticSite, type StaticSite } from "./handlers/static-site.ts";
import type { RequestCounts } from "./metrics/request-counts.ts";
import type { CertificateTable } from "./tls/certificate-table.ts";
import type { Upstreams } from "./upstream/registry.ts";

/** nginx's client_body_buffer_size and proxy_buffers are smaller: Python apps answer with pages of this size. */
const REQUEST_MEMORY = 64 * 1024;
const RESPONSE_MEMORY = 256 * 1024;
/** As nginx's proxy_max_temp_file_size. */
const RESPONSE_DISK = 1024 * 1024 * 1024;

/** A site with everything that can be made before a request comes. */
interface Site {
  readonly name: string;
  readonly canonical: string | null;
  readonly errorPages: Readonly<Record<string, string>> | null;
  readonly files: StaticSite | null;
  /** Null for a site of static files alone. */
  readonly app: ProxyOptions | null;
  /** What differs below a prefix, longest prefix first. */
  readonly paths: readonly { readonly prefix: string; readonly app: ProxyOptions }[];
}

export interface PipelineState {
  readonly challenges: ReadonlyMap<string, string>;
  readonly certificates: CertificateTable;
  readonly maintenance: MaintenanceTable;
}

/**
 * A request's way through the handlers, outermost first: challenge, https, site, canonical name, maintenance, static
 * files, app.
 * Made anew for each configuration; requests under way keep the one that they began with.
 */
export class Pipeline {
  readonly #sites = new Map<string, Site>();
  readonly #state: () => PipelineState;
  readonly #httpsPort: number | null;
  readonly #counts: RequestCounts;
  readonly #upstreams: Upstreams;
  readonly #bufferFolder: string | null;

  /** `bufferFolder`: where bodies that are too long for the memory go. */
  constructor(
    configuration: Configuration,
    upstreams: Upstreams,
    counts: RequestCounts,
    bufferFolder: string | null,
    state: () => PipelineState,
  ) {
    this.#state = state;
    this.#counts = counts;
    this.#upstreams = upstreams;
    this.#bufferFolder = bufferFolder;
    const https = configuration.listen.https[0];
    this.#httpsPort = https === undefined ? null : "port" in https ? https.port : 443;
    for (const site of configuration.sites) this.#add(site);
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
    exchange.errorPages = site.errorPages;
    if (site.canonical !== null && site.canonical !== host)
      return redirectToCanonical(exchange, site.canonical);
    if (this.#state().maintenance.answer(exchange, site.name)) return;
    if (site.files !== null && site.files.answer(exchange)) return;
    if (site.app === null) return respondWithError(exchange, 404);
    return proxy(exchange, appFor(site, exchange.target) ?? site.app);
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

  #add(site: SiteConfiguration): void {
    const setHeaders = securityHeaders(site);
    const completeCookies = site.cookies === null ? null : cookieAttributes(site.cookies);
    const finishFields = (fields: string[], exchange: Exchange): void => {
      completeCookies?.(fields, exchange.secure);
      setHeaders(fields, exchange);
    };
    // The nearest to the client first.
    const filter = filtersInOrder(site.compress ? [compression] : []);
    const app = (buffering: BufferingConfiguration): ProxyOptions | null =>
      site.upstream === null
        ? null
        : this.#proxyOptions(site, site.upstream.name, buffering, finishFields, filter);
    const made: Site = {
      name: site.names[0],
      canonical: site.canonical,
      errorPages: site.errors,
      files:
        site.static.length === 0
          ? null
          : createStaticSite(site.static, finishFields, { compress: site.compress }),
      app: app(site.buffering),
      paths: site.paths.flatMap(({ prefix, buffering }) => {
        const other = app(buffering);
        return other === null ? [] : [{ prefix, app: other }];
      }),
    };
    for (const name of site.names) this.#sites.set(name, made);
  }

  #proxyOptions(
    site: SiteConfiguration,
    upstream: string,
    buffering: BufferingConfiguration,
    finishFields: ProxyOptions["finishFields"],
    filter: ResponseFilter,
  ): ProxyOptions {
    const folder = this.#bufferFolder;
    return {
      upstream: this.#upstreams.get(upstream),
      maxBody: site.maxBody,
      bufferRequest: buffering.request ? { memory: REQUEST_MEMORY, folder } : null,
      bufferResponse: buffering.response ? { memory: RESPONSE_MEMORY, disk: RESPONSE_DISK, folder } : null,
      internal: site.internal,
      finishFields,
      filter,
      counted: (outcome) => this.#counts.upstream(upstream, outcome),
    };
  }
}

/** The options of the longest prefix that fits the path, if any. */
function appFor(site: Site, target: string): ProxyOptions | undefined {
  return site.paths.find(({ prefix }) => target.startsWith(prefix))?.app;
}

/** Host without its port and in lower case; an IPv6 address without its brackets. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  return (bracketed?.[1] ?? host.split(":")[0] ?? "").toLowerCase();
}
