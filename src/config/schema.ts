import { LOCAL_CA } from "./local-ca-schema.ts";
import { NOTIFY } from "./notify-schema.ts";
import type { Section } from "./section.ts";
import { SITE_SECTION } from "./site-schema.ts";
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

const STAGING: Section = {
  acme: {
    doc: "Short name or URL of the staging directory, where it is not known by the name of the CA.",
    format: "directory",
    default: null,
  },
  eab: {
    doc: "External account binding there; it is not that of the CA itself.",
    nested: "one",
    section: EAB,
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
  preferredChain: {
    doc: 'Common name of the root that the chain should lead to, such as `"ISRG Root X1"`, where the CA offers several; else its default chain, and the log says which there are.',
    format: "text",
    default: null,
  },
  trustedRoots: {
    doc: "PEM file with extra roots to trust when talking to this CA. PADDOCK_TRUSTED_ROOTS gives one to all of them.",
    format: "path",
    default: null,
  },
  eab: { doc: "External account binding, where the CA asks for one.", nested: "one", section: EAB },
  staging: {
    doc: "Where orders at this CA are rehearsed: a short name, a URL, a section, or `false` for nowhere. Let's Encrypt's is known; Google's needs an `eab` of its own.",
    nested: "one",
    section: STAGING,
    or: { format: "directoryOrOff", default: null },
  },
};

const DNS: Section = {
  hook: {
    doc: "Called as `HOOK present NAME VALUE` to add a TXT record and `HOOK cleanup NAME VALUE` to remove that one, without a shell, with PATH, HOME and LANG alone in its environment.",
    format: "path",
    default: null,
    required: true,
  },
  hookTimeout: { doc: "For one call of it.", format: "duration", default: "30s" },
  propagationTimeout: {
    doc: "How long the record may take to be at all name servers of its zone; the CA is told then. `0s` tells it at once.",
    format: "duration",
    default: "2m",
  },
  resolvers: {
    doc: "Who is asked for CNAMEs and for the zone's name servers, in place of the system's resolvers.",
    format: "nameServers",
    default: [],
  },
  nameServers: {
    doc: "Where the record must be, in place of the zone's own name servers: where those that the world asks cannot be reached from here.",
    format: "nameServers",
    default: [],
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

/** The whole file. Every key of the contract is here. */
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
  localCA: { doc: "The embedded CA.", nested: "one", section: LOCAL_CA, env: "PADDOCK_LOCAL_CA" },
  rehearse: {
    doc: "How often the order of each certificate is tried at the staging directory of its CA, `1d` or more; also a few minutes after names, challenges, listeners or issuers have changed. `false` turns both off.",
    format: "rehearsal",
    default: "7d",
    env: "PADDOCK_REHEARSE",
  },
  challenges: {
    doc: "How the CA may check the names, in this order: a kind that fails is followed by the next, and the one that worked is tried first the next time. `dns-01` joins the list where `dns.hook` is set and this key is not.",
    format: "challenges",
    default: ["http-01", "tls-alpn-01"],
    env: "PADDOCK_CHALLENGES",
  },
  dns: {
    doc: "The program that changes the DNS for dns-01; wildcards need it.",
    nested: "one",
    section: DNS,
    env: "PADDOCK_DNS",
  },
  notify: {
    doc: "Who is told when a certificate cannot be renewed: at the first failure, at three in a row, with less than a quarter of its life left, and when it is well again.",
    nested: "one",
    section: NOTIFY,
  },
  upstreams: {
    doc: "Apps by name, for sites that share one or need other timeouts.",
    nested: "named",
    section: UPSTREAM,
    env: "PADDOCK_UPSTREAMS",
  },
  sites: { doc: "What is served.", nested: "list", section: SITE_SECTION, env: "PADDOCK_SITES" },
};

export { SITE_SECTION };

/** Variables that stand for no single key; `environment.ts` reads them. */
export const SHORTCUTS: Readonly<Record<string, string>> = {
  PADDOCK_CONFIG: "Path of the configuration file.",
  PADDOCK_ISSUER: "One issuer in place of `issuers`: a short name, a directory URL, or `local`.",
  PADDOCK_TRUSTED_ROOTS: "`trustedRoots` for every ACME issuer that has none.",
};
