import { ON_DEMAND } from "./on-demand-schema.ts";
import { protectionKeys } from "./protection-schema.ts";
import type { Section } from "./section.ts";

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

/** One entry of `sites`. */
export const SITE_SECTION: Section = {
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
  onDemand: {
    doc: "The site also serves names that no site has, if the app says that they are its own: the first handshake obtains the certificate. See [certificates-on-demand.md](certificates-on-demand.md).",
    nested: "one",
    section: ON_DEMAND,
    or: { format: "off", default: null },
    env: "PADDOCK_ON_DEMAND",
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
