import type { ChallengeKind } from "./challenges.ts";
import type {
  AcmeServerConfiguration,
  DnsConfiguration,
  IssuerConfiguration,
  NotifyConfiguration,
} from "./issuance-configuration.ts";

export type {
  AcmeServerConfiguration,
  DnsConfiguration,
  IssuerConfiguration,
  NotifyConfiguration,
} from "./issuance-configuration.ts";

/**
 * The validated configuration. `load.ts` makes it from a file and the environment, checks it once and freezes
 * it; nobody else makes one. Durations are milliseconds and sizes are bytes.
 */
export interface Configuration {
  /** Absolute path of the file that it came from, or null where the environment gave it whole. */
  readonly file: string | null;
  readonly email: string | null;
  /** Absolute path of the folder for certificates, accounts and state. */
  readonly storage: string;
  /** Number of data-plane processes, `auto` already resolved. */
  readonly workers: number;
  readonly listen: {
    readonly http: readonly ListenAddress[];
    readonly https: readonly ListenAddress[];
    /** Addresses and networks whose connections begin with a PROXY header. */
    readonly proxyProtocol: readonly NetworkConfiguration[];
  };
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly NetworkConfiguration[];
  readonly admin: {
    /** Null turns the admin listener off. */
    readonly listen: ListenAddress | null;
    /** Path of the control socket. */
    readonly socket: string;
  };
  readonly log: LogConfiguration;
  readonly issuers: readonly IssuerConfiguration[];
  /** Milliseconds between two rehearsals of a certificate's order; null for none but those that are asked for. */
  readonly rehearse: number | null;
  /** How a CA may be shown that a name is ours, in this order; only what can be answered. */
  readonly challenges: readonly ChallengeKind[];
  /** Null where there is no dns-01. */
  readonly dns: DnsConfiguration | null;
  readonly localCa: {
    /** Null: the embedded CA is for this machine's sites alone. */
    readonly acme: AcmeServerConfiguration | null;
  };
  readonly tls: { readonly policy: "intermediate" | "modern" };
  readonly notify: NotifyConfiguration;
  readonly timeouts: TimeoutConfiguration;
  readonly limits: LimitConfiguration;
  readonly shutdownTimeout: number;
  readonly sites: readonly SiteConfiguration[];
}

/** Where to listen: an address and port, or a socket that systemd passes by name. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly fdName: string };

export interface LogConfiguration {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal";
  /** One line per request. */
  readonly access: boolean;
  readonly format: "json" | "pretty";
}

export interface TimeoutConfiguration {
  /** Request head, from its first byte. */
  readonly requestHead: number;
  /** Idle keep-alive connection. */
  readonly keepAlive: number;
  /** A body must bring at least 1 KB/s, looked at over this span. */
  readonly body: number;
  /** A write that makes no progress. */
  readonly write: number;
}

export interface LimitConfiguration {
  /** Open connections of one client address, all workers together; null sets no limit. */
  readonly connectionsPerAddress: number | null;
}

/** How to reach an application server. */
export type UpstreamAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export interface UpstreamConfiguration {
  /** The name under `upstreams`, or the address as written; the metrics' label. */
  readonly name: string;
  readonly to: readonly [UpstreamAddress, ...UpstreamAddress[]];
  readonly connectTimeout: number;
  /** From the request's last byte to the response head, and between two reads of the body. */
  readonly responseTimeout: number;
  /** Requests at a time, all workers together; null where it is learnt. */
  readonly maxConcurrent: number | null;
  /** Requests that wait, in each worker. */
  readonly queueLength: number;
  readonly queueTimeout: number;
  /** How long after the app went away requests are held. */
  readonly restartGrace: number;
  readonly healthCheck: HealthCheckConfiguration | null;
  /** The version of the PROXY header that each connection to the app begins with; null for none. */
  readonly proxyProtocol: 1 | 2 | null;
}

export interface HealthCheckConfiguration {
  /** Origin-form. */
  readonly path: string;
  readonly interval: number;
  readonly timeout: number;
  /** Null: the first name of the site that uses the upstream. */
  readonly host: string | null;
}

export interface BufferingConfiguration {
  readonly request: boolean;
  readonly response: boolean;
}

export interface NetworkConfiguration {
  readonly address: string;
  /** Bits. */
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

export interface RateLimitConfiguration {
  /** So many `requests` in `per` milliseconds, on average. */
  readonly requests: number;
  readonly per: number;
  /** The rate as in the file, for log lines. */
  readonly written: string;
  /** Beyond the rate, at once. */
  readonly burst: number;
  /** The field whose value is counted, lower case; null counts by address. */
  readonly header: string | null;
}

export interface BasicAuthConfiguration {
  readonly realm: string;
  /** Name and argon2id hash in the PHC format. */
  readonly users: readonly (readonly [string, string])[];
}

export interface ForwardAuthConfiguration {
  readonly address: UpstreamAddress;
  /** Origin-form. */
  readonly path: string;
  /** Lower case. */
  readonly headers: readonly string[];
  readonly timeout: number;
}

/** A rule and the prefix that it is written for; `/` is the site. */
export interface Sourced<T> {
  readonly from: string;
  readonly value: T;
}

/** What is asked of a request before it is served, in this order; null asks nothing. */
export interface ProtectionConfiguration {
  readonly deny: Sourced<readonly NetworkConfiguration[]> | null;
  readonly allow: Sourced<readonly NetworkConfiguration[]> | null;
  readonly rateLimit: Sourced<RateLimitConfiguration> | null;
  readonly methods: Sourced<readonly string[]> | null;
  readonly basicAuth: Sourced<BasicAuthConfiguration> | null;
  readonly forwardAuth: Sourced<ForwardAuthConfiguration> | null;
}

export interface CacheConfiguration {
  /** Bytes, all workers together. */
  readonly memory: number;
}

/** What differs below a URL prefix. */
export interface PathConfiguration {
  /** Begins and ends with a slash. */
  readonly prefix: string;
  readonly buffering: BufferingConfiguration;
  /** Whether the site's cache is used. */
  readonly cached: boolean;
  readonly protection: ProtectionConfiguration;
}

export interface StaticMapping {
  /** URL prefix, begins and ends with a slash. */
  readonly prefix: string;
  /** Absolute path. */
  readonly folder: string;
}

export type CertificateChoice =
  | { readonly kind: "auto" }
  | { readonly kind: "local" }
  | { readonly kind: "files"; readonly cert: string; readonly key: string };

/** Certificates for names that no site has, if the app says that they are its own. */
export interface OnDemandConfiguration {
  /** A path of the site's app, which begins with a slash, or a URL. */
  readonly ask: string;
  /** So many names may get their first certificate (`requests`) in `per` milliseconds. */
  readonly limit: { readonly requests: number; readonly per: number };
  /** For a handshake. */
  readonly wait: number;
  /** The embedded CA makes them. */
  readonly local: boolean;
}

export interface CookieConfiguration {
  readonly secure: boolean;
  /** Names of cookies that get HttpOnly. */
  readonly httpOnly: readonly string[];
  readonly sameSite: "Strict" | "Lax" | "None" | null;
}

export interface SiteConfiguration {
  /** Lower case, A-labels; the first one names the site in logs and metrics. */
  readonly names: readonly [string, ...string[]];
  /** Null for a site of static files alone. */
  readonly upstream: UpstreamConfiguration | null;
  /** Longest prefix first. */
  readonly static: readonly StaticMapping[];
  /** Files that the app names in X-Accel-Redirect or X-Sendfile. Longest prefix first. */
  readonly internal: readonly StaticMapping[];
  readonly certificate: CertificateChoice;
  /** Null but for one site at most. */
  readonly onDemand: OnDemandConfiguration | null;
  /** maxAge in milliseconds; null means that no HSTS field is added. */
  readonly hsts: {
    readonly maxAge: number;
    readonly includeSubDomains: boolean;
    readonly preload: boolean;
  } | null;
  /** Field name to value: set where the app did not; null removes the field. */
  readonly headers: Readonly<Record<string, string | null>>;
  readonly cookies: CookieConfiguration | null;
  /** The name that the site's other names redirect to. */
  readonly canonical: string | null;
  /** Bytes; a longer request body gets 413. */
  readonly maxBody: number;
  /** The app's responses and the static files, by Accept-Encoding. */
  readonly compress: boolean;
  /** The texts of the site's own error pages, by file name without `.html`: `502`, `5xx`, `maintenance`. */
  readonly errors: Readonly<Record<string, string>> | null;
  /** The shared cache; null for none. */
  readonly cache: CacheConfiguration | null;
  readonly buffering: BufferingConfiguration;
  /** Server-Timing on the app's responses. */
  readonly serverTiming: boolean;
  readonly protection: ProtectionConfiguration;
  /** Longest prefix first. */
  readonly paths: readonly PathConfiguration[];
}
