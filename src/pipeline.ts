import type {
  BufferingConfiguration,
  Configuration,
  PathConfiguration,
  SiteConfiguration,
} from "./config/configuration.ts";
import { isOnDemandName } from "./config/on-demand-name.ts";
import type { Exchange } from "./exchange/exchange.ts";
import { filtersInOrder, type ResponseFilter } from "./exchange/response-filter.ts";
import { answerAcmeChallenge, isAcmeChallenge } from "./handlers/acme-challenge.ts";
import type { Caches } from "./handlers/cache/caches.ts";
import type { SiteCache } from "./handlers/cache/site-cache.ts";
import { compression } from "./handlers/compression.ts";
import { cookieAttributes } from "./handlers/cookies.ts";
import { respondWithError } from "./handlers/error-page.ts";
import { redirectToCanonical, redirectToHttps } from "./handlers/https-redirect.ts";
import { PathTable } from "./handlers/path-table.ts";
import type { RateLimits } from "./handlers/protection/rate-limits.ts";
import { runRules, type Rule } from "./handlers/protection/rule.ts";
import { isRestricted, SiteRules } from "./handlers/protection/rules.ts";
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

/** What is the case below a prefix; `/` is the whole site. */
interface Place {
  readonly prefix: string;
  /** What a request must pass first. */
  readonly rules: readonly Rule[];
  /** Some of the rules let only some clients in. */
  readonly restricted: boolean;
  /** Null for a site of static files alone. */
  readonly app: ProxyOptions | null;
  /** Null where nothing is cached. */
  readonly cache: SiteCache | null;
}

/** A site with everything that can be made before a request comes. */
interface Site {
  readonly name: string;
  readonly canonical: string | null;
  readonly errorPages: Readonly<Record<string, string>> | null;
  readonly files: StaticSite | null;
  readonly rules: SiteRules;
  readonly places: PathTable<Place>;
}

export interface PipelineState {
  readonly challenges: ReadonlyMap<string, string>;
  readonly certificates: CertificateTable;
  readonly maintenance: MaintenanceTable;
  /** Told of the names on demand that get requests. */
  readonly used: { note(name: string): void };
}

/** Made when its first request comes, unless rules have to be there for the other workers' reports. */
interface SiteEntry {
  readonly configuration: SiteConfiguration;
  site: Site | null;
}

/**
 * A request's way through the handlers, outermost first: challenge, https, site, canonical name, maintenance,
 * protection, static files, cache, app.
 * Made anew for each configuration; requests under way keep the one that they began with.
 */
export class Pipeline {
  readonly #sites = new Map<string, SiteEntry>();
  /** The site of the names that no site has. */
  #onDemand: SiteEntry | null = null;
  readonly #state: () => PipelineState;
  readonly #httpsPort: number | null;
  readonly #counts: RequestCounts;
  readonly #upstreams: Upstreams;
  readonly #rateLimits: RateLimits;
  readonly #caches: Caches;
  readonly #bufferFolder: string | null;

  /** `bufferFolder`: where bodies that are too long for the memory go. */
  constructor(
    configuration: Configuration,
    upstreams: Upstreams,
    counts: RequestCounts,
    rateLimits: RateLimits,
    caches: Caches,
    bufferFolder: string | null,
    state: () => PipelineState,
  ) {
    this.#state = state;
    this.#counts = counts;
    this.#upstreams = upstreams;
    this.#rateLimits = rateLimits;
    this.#caches = caches;
    rateLimits.begin(configuration.workers);
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
    const site = this.#find(host) ?? this.#findOnDemand(host);
    if (site === undefined || !this.#state().certificates.covers(exchange.serverName, host)) {
      exchange.failure = `no site called ${host} on this connection; add the name to a site if it should be served`;
      return respondWithError(exchange, 421);
    }
    if (this.#onDemand?.site === site) this.#state().used.note(host);
    exchange.site = site.name;
    exchange.errorPages = site.errorPages;
    if (site.canonical !== null && site.canonical !== host)
      return redirectToCanonical(exchange, site.canonical);
    if (this.#state().maintenance.answer(exchange, site.name)) return;
    const places = site.places.find(exchange.target);
    const [place] = places;
    // Where the path can be read in several ways, the rules of each hold.
    const rules = places.length === 1 ? place.rules : site.rules.together(places.map((other) => other.rules));
    // Nor is anything cached that the app may take for another path than the cache does.
    const cache = places.length === 1 ? place.cache : null;
    if (rules.length === 0) return serve(site, place, cache, exchange, false);
    const restricted = places.some((other) => other.restricted);
    return runRules(rules, exchange, () => serve(site, place, cache, exchange, restricted));
  }

  #toHttps(exchange: Exchange, port: number): void {
    const host = hostName(exchange.host);
    const site = this.#find(host) ?? this.#redirectOnDemand(host);
    if (site === undefined) {
      exchange.failure = `no site called ${host}; add the name to a site if it should be served`;
      return respondWithError(exchange, 421);
    }
    exchange.site = site.name;
    return redirectToHttps(exchange, host, port);
  }

  #find(host: string): Site | undefined {
    const entry = this.#sites.get(host) ?? this.#sites.get(`*${host.slice(Math.max(0, host.indexOf(".")))}`);
    return entry === undefined ? undefined : this.#site(entry);
  }

  /** Over https a name has proven by its certificate that the app knows it. */
  #findOnDemand(host: string): Site | undefined {
    if (this.#onDemand === null) return undefined;
    if (this.#state().certificates.fingerprint(host) === null) return undefined;
    return this.#site(this.#onDemand);
  }

  /** Port 80 sends to https whatever might get a certificate there, and asks nobody. */
  #redirectOnDemand(host: string): Site | undefined {
    const entry = this.#onDemand;
    if (entry === null || !isOnDemandName(host, entry.configuration.onDemand?.local === true))
      return undefined;
    return this.#site(entry);
  }

  #site(entry: SiteEntry): Site {
    return (entry.site ??= this.#make(entry.configuration));
  }

  #add(configuration: SiteConfiguration): void {
    const entry: SiteEntry = { configuration, site: null };
    const { protection, paths } = configuration;
    if ([protection, ...paths.map((path) => path.protection)].some(({ rateLimit }) => rateLimit !== null))
      entry.site = this.#make(configuration);
    for (const name of configuration.names) this.#sites.set(name, entry);
    if (configuration.onDemand !== null) this.#onDemand = entry;
  }

  #make(site: SiteConfiguration): Site {
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
    const siteRules = new SiteRules(site, this.#rateLimits, (name) => this.#upstreams.get(name));
    const cache = this.#caches.get(site.names[0]);
    const place = ({ prefix, buffering, cached, protection }: PathConfiguration): Place => ({
      prefix,
      rules: siteRules.of(protection),
      restricted: isRestricted(protection),
      app: app(buffering),
      cache: cached ? cache : null,
    });
    return {
      name: site.names[0],
      canonical: site.canonical,
      errorPages: site.errors,
      files:
        site.static.length === 0
          ? null
          : createStaticSite(site.static, finishFields, { compress: site.compress }),
      rules: siteRules,
      places: new PathTable(site.paths.map(place), place({ ...site, prefix: "/", cached: true })),
    };
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
      serverTiming: site.serverTiming,
      tunnelled: (change) => this.#counts.tunnel(upstream, change),
    };
  }
}

/** Static files, then the cache, then the app. */
function serve(
  site: Site,
  place: Place,
  cache: SiteCache | null,
  exchange: Exchange,
  restricted: boolean,
): void {
  if (site.files !== null && site.files.answer(exchange, restricted)) return;
  if (place.app === null) respondWithError(exchange, 404);
  else if (cache !== null) cache.handle(exchange, place.app);
  else proxy(exchange, place.app);
}

/** Host without its port and in lower case; an IPv6 address without its brackets. */
function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host);
  return (bracketed?.[1] ?? host.split(":")[0] ?? "").toLowerCase();
}
