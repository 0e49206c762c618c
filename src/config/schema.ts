import { protectionKeys } from "./protection-schema.ts";
import type { Section } from "./section.ts";
import { UPSTREAM } from "./upstream-schema.ts";

const EAB: Section = {
  keyId: { doc: "Key identifier that the CA gave.", format: "text", default: null, required: true },
  hmacKey: {
    doc: "HMAC key that the CA gave, base64url. It never appears in a message or a log.",
    format: "secret",
    default: null,
    required: true,
    sensitive: true,
  },
};

const ISSUER: Section = {
  acme: {
    doc: "`letsencrypt`, `letsencrypt-staging`, `zerossl`, `google`, or the URL of an ACME directory.",
    format: "directory",
    default: null,
  },
  local: { doc: "The embedded CA, in place of `acme`.", format: "flag", default: false },
  profile: {
    doc: "Certificate profile to ask for; the CA's directory must offer it.",
    format: "text",
    default: null,
  },
  trustedRoots: {
    doc: "PEM file with extra roots to trust when talking to this CA. PADDOCK_TRUSTED_ROOTS gives one to all of them.",
    format: "path",
    default: null,
  },
  eab: { doc: "External account binding, where the CA asks for one.", nested: "one", section: EAB },
};

const HSTS: Section = {
  maxAge: { doc: "How long a browser insists on https.", format: "duration", default: "1y" },
  includeSubDomains: { doc: "Every name below the site's names too.", format: "flag", default: false },
  preload: { doc: "Consent to the browsers' preload lists. Hard to undo.", format: "flag", default: false },
};

const COOKIES: Section = {
  secure: { doc: "Add `Secure` to the app's cookies.", format: "flag", default: true },
  httpOnly: { doc: "Cookies that get `HttpOnly`.", format: "cookieNames", default: [] },
  sameSite: { doc: "Add `SameSite` where the app did not.", format: "sameSite", default: null },
};

const BUFFERING: Section = {
  request: {
    doc: "Take a request body in whole before the app hears of it: 64 KB in memory, then a file without a name.",
    format: "flag",
    default: true,
  },
  response: {
    doc: "Read the app as fast as it writes, for clients that read slowly: 256 KB in memory, then a file up to 1 GB. Event streams and `X-Accel-Buffering: no` are never held back.",
    format: "flag",
    default: true,
  },
};

const CACHE: Section = {
  memory: {
    doc: "What the stored responses may take, all workers together; each has its part.",
    format: "size",
    default: null,
    required: true,
  },
};

const PATH: Section = {
  buffering: { doc: "As for the site.", nested: "one", section: BUFFERING },
  cache: { doc: "`false`: nothing below this prefix is cached.", format: "cacheOff", default: null },
  ...protectionKeys(false),
};

const CERTIFICATE_FILES: Section = {
  cert: {
    doc: "PEM file: the certificate, then the intermediates.",
    format: "path",
    default: null,
    required: true,
  },
  key: { doc: "PEM file with the private key.", format: "path", default: null, required: true },
};

const SITE: Section = {
  names: {
    doc: "Host names, wildcards of one label (`*.example.com`) or IP addresses. The first one names the site in logs and metrics.",
    format: "siteNames",
    default: [],
    env: "PADDOCK_NAMES",
    required: true,
  },
  upstream: {
    doc: "The app. Without it the site consists of its static files.",
    format: "upstream",
    default: null,
    env: "PADDOCK_UPSTREAM",
  },
  static: {
    doc: "Folders that Paddock serves itself. The prefix begins and ends with a slash; the folder must exist.",
    format: "staticMappings",
    default: [],
    env: "PADDOCK_STATIC",
  },
  internal: {
    doc: "Folders of files that the app sends by naming them: in `X-Accel-Redirect` by a path below the prefix, in `X-Sendfile` by the file's own absolute path. No client reaches them by the prefix. The app's Content-Type and other fields stay; ranges, conditions and `X-Accel-Limit-Rate` (bytes a second) work.",
    format: "staticMappings",
    default: [],
    env: "PADDOCK_INTERNAL",
  },
  certificate: {
    doc: "`auto` asks the issuers, `local` the embedded CA; or the files of a certificate that you bring.",
    nested: "one",
    section: CERTIFICATE_FILES,
    or: { format: "certificate", default: "auto" },
    env: "PADDOCK_CERTIFICATE",
  },
  hsts: {
    doc: "Strict-Transport-Security, sent over https where the app did not send it. `false` adds none.",
    nested: "one",
    section: HSTS,
    or: { format: "off", default: null },
    env: "PADDOCK_HSTS",
  },
  headers: {
    doc: "Response fields to set where the app did not; `null` removes a field.",
    format: "headers",
    default: [],
    env: "PADDOCK_HEADERS",
  },
  cookies: {
    doc: "What to add to the app's cookies.",
    nested: "one",
    section: COOKIES,
    env: "PADDOCK_COOKIES",
  },
  canonical: {
    doc: "One of the names; the others redirect to it.",
    format: "siteName",
    default: null,
    env: "PADDOCK_CANONICAL",
  },
  maxBody: {
    doc: "A longer request body is refused with 413.",
    format: "size",
    default: "100MB",
    env: "PADDOCK_MAX_BODY",
  },
  buffering: {
    doc: "What stands between the app and slow clients.",
    nested: "one",
    section: BUFFERING,
    env: "PADDOCK_BUFFERING",
  },
  cache: {
    doc: "Keep responses that the app allows to be kept (RFC 9111), and answer everybody with them. See [cache.md](cache.md).",
    nested: "one",
    section: CACHE,
    or: { format: "off", default: null },
    env: "PADDOCK_CACHE",
  },
  serverTiming: {
    doc: "Tell clients in Server-Timing how long a request waited in Paddock and how long the app took.",
    format: "flag",
    default: false,
    env: "PADDOCK_SERVER_TIMING",
  },
  ...protectionKeys(true),
  paths: {
    doc: "Other settings for what lies below a URL prefix. The longest that fits counts; what it leaves out is as for the next shorter one, and at last as for the site. See [protection.md](protection.md) for how a path is read.",
    nested: "named",
    section: PATH,
    env: "PADDOCK_PATHS",
  },
  errors: {
    doc: "Folder with pages of your own for Paddock's errors: `404.html`, `4xx.html`, `5xx.html`, `maintenance.html`, up to 256 KB each, read at the start and at each reload. `{{request_id}}`, `{{status}}`, `{{title}}` and `{{message}}` are filled in. What the app answers is never replaced.",
    format: "path",
    default: null,
    env: "PADDOCK_ERRORS",
  },
  compress: {
    doc: "Compress responses with zstd, br or gzip, whichever the client accepts. A response with `Cache-Control: no-transform` is left alone. See [compression.md](compression.md).",
    format: "flag",
    default: true,
    env: "PADDOCK_COMPRESS",
  },
};

const LISTEN: Section = {
  http: {
    doc: "Challenges and redirects to https. `[]` turns it off.",
    format: "listenAddresses",
    default: ["[::]:80"],
    env: "PADDOCK_LISTEN_HTTP",
  },
  https: { doc: "The sites.", format: "listenAddresses", default: ["[::]:443"], env: "PADDOCK_LISTEN_HTTPS" },
  proxyProtocol: {
    doc: "Addresses and networks, such as `10.0.0.0/8`, whose connections begin with a PROXY header (version 1 or 2) that names the client. `false` for none.",
    format: "networksOrOff",
    default: "false",
    env: "PADDOCK_LISTEN_PROXY_PROTOCOL",
  },
};

const ADMIN: Section = {
  listen: {
    doc: "`/metrics`, `/healthz`, `/readyz` and the status page. `false` turns it off.",
    format: "listenAddressOrOff",
    default: "127.0.0.1:9145",
    env: "PADDOCK_ADMIN_LISTEN",
  },
  socket: {
    doc: "Control socket of the command line, mode 0600.",
    format: "path",
    default: "/run/paddock/control.sock",
    env: "PADDOCK_ADMIN_SOCKET",
  },
};

const LOG: Section = {
  level: {
    doc: "The least important message that is logged.",
    format: "level",
    default: "info",
    env: "PADDOCK_LOG_LEVEL",
  },
  access: { doc: "One line per request.", format: "flag", default: true, env: "PADDOCK_LOG_ACCESS" },
  format: {
    doc: "`json` for machines, `pretty` for a terminal.",
    format: "logFormat",
    default: "json",
    env: "PADDOCK_LOG_FORMAT",
  },
};

const TIMEOUTS: Section = {
  requestHead: {
    doc: "For the head of a request, from its first byte.",
    format: "duration",
    default: "10s",
    env: "PADDOCK_TIMEOUTS_REQUEST_HEAD",
  },
  keepAlive: {
    doc: "An idle connection is closed.",
    format: "duration",
    default: "75s",
    env: "PADDOCK_TIMEOUTS_KEEP_ALIVE",
  },
  body: {
    doc: "A request body must bring at least 1 KB a second, looked at over this span.",
    format: "duration",
    default: "20s",
    env: "PADDOCK_TIMEOUTS_BODY",
  },
  write: {
    doc: "A write to a client that makes no progress.",
    format: "duration",
    default: "60s",
    env: "PADDOCK_TIMEOUTS_WRITE",
  },
};

const CLIENT_LIMITS: Section = {
  connectionsPerAddress: {
    doc: "Open connections of one client address (IPv6 by /64); another one is closed at once.",
    format: "connections",
    default: null,
    env: "PADDOCK_LIMITS_CONNECTIONS_PER_ADDRESS",
  },
};

/** The whole file. Every key of the contract is here, also those that this version refuses. */
export const ROOT: Section = {
  email: { doc: "Contact for the CA.", format: "email", default: null, env: "PADDOCK_EMAIL" },
  storage: {
    doc: "Folder for certificates, accounts and state; made with mode 0700.",
    format: "path",
    default: "/var/lib/paddock",
    env: "PADDOCK_STORAGE",
  },
  workers: {
    doc: "Processes that serve; `auto` is one per processor.",
    format: "workers",
    default: "auto",
    env: "PADDOCK_WORKERS",
  },
  shutdownTimeout: {
    doc: "Longest wait for requests in flight at the end of the daemon.",
    format: "duration",
    default: "30s",
    env: "PADDOCK_SHUTDOWN_TIMEOUT",
  },
  trustedProxies: {
    doc: "Addresses and networks of balancers in front of Paddock, whose X-Forwarded-For is believed.",
    format: "networks",
    default: [],
    env: "PADDOCK_TRUSTED_PROXIES",
  },
  listen: { doc: "Where clients connect.", nested: "one", section: LISTEN },
  admin: { doc: "Where operators connect.", nested: "one", section: ADMIN },
  log: { doc: "What is logged, to the standard output.", nested: "one", section: LOG },
  tls: {
    doc: "Mozilla's server-side TLS guidelines 6.0.",
    nested: "one",
    section: {
      policy: {
        doc: "`intermediate` (TLS 1.2 and 1.3) or `modern` (1.3 alone).",
        format: "tlsPolicy",
        default: "intermediate",
        env: "PADDOCK_TLS_POLICY",
      },
    },
  },
  timeouts: { doc: "How patient Paddock is with clients.", nested: "one", section: TIMEOUTS },
  limits: { doc: "How much one client may take.", nested: "one", section: CLIENT_LIMITS },
  issuers: {
    doc: "CAs, tried in order: the first that answers wins, the next is the fallback.",
    nested: "list",
    section: ISSUER,
    env: "PADDOCK_ISSUERS",
  },
  challenges: {
    doc: "How the CA may check the names. `http-01` in this version.",
    format: "challenges",
    default: ["http-01"],
    env: "PADDOCK_CHALLENGES",
  },
  dns: { doc: "Program for dns-01.", format: "notYet", default: null, later: true, env: "PADDOCK_DNS" },
  upstreams: {
    doc: "Apps by name, for sites that share one or need other timeouts.",
    nested: "named",
    section: UPSTREAM,
    env: "PADDOCK_UPSTREAMS",
  },
  sites: { doc: "What is served.", nested: "list", section: SITE, env: "PADDOCK_SITES" },
};

export { SITE as SITE_SECTION };

/** Variables that stand for no single key; `environment.ts` reads them. */
export const SHORTCUTS: Readonly<Record<string, string>> = {
  PADDOCK_CONFIG: "Path of the configuration file.",
  PADDOCK_ISSUER: "One issuer in place of `issuers`: a short name, a directory URL, or `local`.",
  PADDOCK_TRUSTED_ROOTS: "`trustedRoots` for every ACME issuer that has none.",
};
