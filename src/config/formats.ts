import {
  looksLikeUpstreamAddress,
  parseListenAddress,
  parseUpstreamAddress,
  type Parsed,
} from "./addresses.ts";
import { CHALLENGE_KINDS } from "./challenges.ts";
import { parseNameServer } from "./name-server.ts";
import { parseAuthServer } from "./auth-server.ts";
import { parseDuration, parseRate, parseSize } from "./measures.ts";
import { parseNetwork } from "./networks.ts";
import { parsePasswordHash } from "./password-hash.ts";
import { asText, fail, list, mapping, measure, oneOf, only, scalar, show, type Format } from "./format.ts";
import { didYouMean } from "./nearest.ts";
import { parseSiteName } from "./site-name.ts";

/** Short names of well-known directories. */
export const KNOWN_DIRECTORIES: Readonly<Record<string, string>> = {
  letsencrypt: "https://acme-v02.api.letsencrypt.org/directory",
  "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
  zerossl: "https://acme.zerossl.com/v2/DV90",
  google: "https://dv.acme-v02.api.pki.goog/directory",
  "google-staging": "https://dv.acme-v02.test-api.pki.goog/directory",
};

/** By CA: the short name of its staging directory, and whether that wants an account binding of its own. */
export const KNOWN_STAGINGS: Readonly<Record<string, { readonly name: string; readonly eab: boolean }>> = {
  letsencrypt: { name: "letsencrypt-staging", eab: false },
  google: { name: "google-staging", eab: true },
};

/** Milliseconds. */
const SHORTEST_REHEARSAL = 86_400_000;

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"];

export const FORMATS = {
  text: scalar("text", (text) => plainText(text)),
  path: scalar("path", (text) => plainText(text)),
  email: scalar("e-mail address", (text) => {
    if (!/^[^\s@<>,;:]+@[^\s@<>,;:]+\.[^\s@<>,;:.]+$/.test(text)) fail(`"${text}" is no e-mail address`);
  }),
  emails: list("list of e-mail addresses", (text) => FORMATS.email.check(text)),
  webhook: scalar("`https://…` or `http://…`", (text) => {
    // Chat services put the secret into the path, so the value stays out of the message.
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !/^https?:$/.test(url.protocol))
      fail("must be an http or https URL, as the service that takes the message showed it");
    if (url.username !== "" || url.password !== "" || url.hash !== "")
      fail("must be a URL without a user name, a password and a fragment");
  }),
  command: list("list: program, arguments", (text) => plainText(text)),
  secret: scalar("base64url text", (text) => {
    // The value stays out of the message: it is a key.
    if (!/^[A-Za-z0-9_-]+=*$/.test(text)) fail("must be base64url, as the CA showed it");
  }),
  flag: {
    says: "`true` or `false`",
    shape: "scalar",
    coerce: (text: string) => (text === "true" ? true : text === "false" ? false : text),
    check: (value: unknown) => {
      if (typeof value !== "boolean") fail(`must be true or false, not ${show(value)}`);
    },
  },
  duration: measure("duration, such as `10s`", "duration", "10s, 5m, 12h, 30d or 1y", "s", parseDuration),
  rehearsal: {
    says: "duration of `1d` or more, or `false`",
    shape: "scalar",
    coerce: (text: string) => (text === "false" ? false : (parseDuration(text) ?? text)),
    check: (value: unknown) => {
      if (value === false || (typeof value === "number" && value >= SHORTEST_REHEARSAL)) return;
      if (typeof value === "number") fail("must be 1d or more: a CA's staging directory is there for all");
      fail(`${show(value)} is no duration; write for example 7d, or false for no rehearsals`);
    },
  },
  size: measure("size, such as `100MB`", "size", "16KB, 100MB or 1GB", "MB", parseSize),
  workers: {
    says: "`auto` or a number",
    shape: "scalar",
    coerce: (text: string) => (/^\d{1,6}$/.test(text) ? Number(text) : text),
    check: (value: unknown) => {
      if (value === "auto") return;
      if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 512)
        fail(`must be auto or a number from 1 to 512, not ${show(value)}`);
    },
  },
  count: {
    says: "number",
    shape: "scalar",
    coerce: (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : text),
    check: (value: unknown) => {
      if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 1_000_000)
        fail(`must be a whole number up to 1000000, not ${show(value)}`);
    },
  },
  concurrency: {
    says: "`auto` or a number",
    shape: "scalar",
    coerce: (text: string) => (/^\d{1,6}$/.test(text) ? Number(text) : text),
    check: (value: unknown) => {
      if (value === "auto") return;
      if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 100_000)
        fail(`must be auto or a number from 1 to 100000, not ${show(value)}`);
    },
  },
  connections: {
    says: "number",
    shape: "scalar",
    coerce: (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : text),
    check: (value: unknown) => {
      if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 1_000_000)
        fail(`must be a whole number from 1 to 1000000, not ${show(value)}`);
    },
  },
  urlPath: scalar("path of a URL", (text) => {
    if (!/^\/[\x21\x22\x24-\x7e]*$/.test(text)) fail(`${show(text)} is no path; write for example /healthz`);
  }),
  level: oneOf(LEVELS),
  logFormat: oneOf(["json", "pretty"]),
  tlsPolicy: oneOf(["intermediate", "modern"]),
  sameSite: oneOf(["Strict", "Lax", "None"]),
  certificate: oneOf(["auto", "local"]),
  listenAddresses: list("list of `ADDRESS:PORT` or `fd:NAME`", (text) => parsed(parseListenAddress(text))),
  listenAddress: scalar("`ADDRESS:PORT`", (text) => {
    if (text.startsWith("fd:"))
      fail(`"${text}": a socket of systemd cannot be handed on here; write ADDRESS:PORT`);
    parsed(parseListenAddress(text));
  }),
  port: {
    says: "port",
    shape: "scalar",
    coerce: (text: string) => (/^\d{1,5}$/.test(text) ? Number(text) : text),
    check: (value: unknown) => {
      if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > 65_535)
        fail(`must be a port from 1 to 65535, not ${show(value)}`);
    },
  },
  listenAddressOrOff: {
    says: "`ADDRESS:PORT`, or `false`",
    shape: "scalar",
    coerce: (text: string) => (text === "false" ? false : text),
    check: (value: unknown) => {
      if (value !== false) parsed(parseListenAddress(asText(value)));
    },
  },
  networksOrOff: {
    says: "list of addresses and networks, or `false`",
    shape: "list",
    falseIsEmpty: true,
    coerce: (text: string) => (text === "false" ? [] : text),
    check: (value: unknown) => FORMATS.networks.check(value),
  },
  proxyProtocolVersion: {
    says: "`true`, `false`, `v1` or `v2`",
    shape: "scalar",
    coerce: (text: string) => (text === "true" ? true : text === "false" ? false : text),
    check: (value: unknown) => {
      if (!([true, false, "v1", "v2"] as unknown[]).includes(value))
        fail(`must be true, false, v1 or v2, not ${show(value)}`);
    },
  },
  siteNames: list("list of names", (text) => parsed(parseSiteName(text))),
  siteName: scalar("a name of the site", (text) => parsed(parseSiteName(text))),
  directory: scalar("short name or directory URL", checkDirectory),
  directoryOrOff: {
    says: "short name, directory URL, or `false`",
    shape: "scalar",
    coerce: (text: string) => (text === "false" ? false : text),
    check: (value: unknown) => {
      if (value !== false) checkDirectory(asText(value));
    },
  },
  upstream: scalar("`unix:PATH`, `http://HOST:PORT`, or a name from `upstreams`", (text) => {
    // A bare word is looked up among the upstreams when all of them are known.
    if (looksLikeUpstreamAddress(text)) parsed(parseUpstreamAddress(text, "/"));
    else plainText(text);
  }),
  upstreamAddresses: list("list of `unix:PATH` or `http://HOST:PORT`", (text) =>
    parsed(parseUpstreamAddress(text, "/")),
  ),
  cookieNames: list("list of cookie names", (text) => {
    if (!TOKEN.test(text)) fail(`"${text}" is no cookie name`);
  }),
  staticMappings: mapping("URL prefix to folder", checkPrefix, (_, folder) => plainText(asText(folder))),
  headers: mapping("field name to value; null removes", checkFieldName, checkFieldValue),
  challenges: list("list", (text) => {
    const known: readonly string[] = CHALLENGE_KINDS;
    if (!known.includes(text)) fail(`"${text}" is no challenge${didYouMean(text, known)}`);
  }),
  nameServers: list("list of `ADDRESS` or `ADDRESS:PORT`", (text) => parsed(parseNameServer(text))),
  networks: list("list of networks, such as `10.0.0.0/8`, or `all`", (text) => parsed(parseNetwork(text))),
  methods: list("list of methods", (text) => {
    // RFC 9110 section 9.1: methods are case-sensitive, so a lower-case one would never fit.
    if (!/^[A-Z][A-Z-]*$/.test(text)) fail(`"${text}" is no method; write for example GET or POST`);
  }),
  rate: scalar("rate, such as `10/s`", (text) => {
    if (parseRate(text) === undefined) fail(`"${text}" is no rate; write for example 10/s, 100/m or 1000/h`);
  }),
  rateKey: scalar("`address` or `header:NAME`", (text) => {
    const name = text.startsWith("header:") ? text.slice("header:".length) : null;
    if (text !== "address" && (name === null || !TOKEN.test(name)))
      fail(`"${text}" is no key; write address, or header: and the name of a field`);
  }),
  realm: scalar("text", (text) => {
    if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(text))
      fail(`${show(text)} must be plain ASCII without quotes and backslashes`);
  }),
  passwordHashes: mapping("user name to argon2id hash", checkUserName, (_, hash) => {
    const result = parsePasswordHash(asText(hash));
    if ("problem" in result) fail(result.problem);
  }),
  authServer: scalar("`http://HOST:PORT/PATH` or `unix:PATH`", (text) => parsed(parseAuthServer(text, "/"))),
  onDemandAsk: scalar("path, or `http://…` or `https://…`", (text) => {
    if (text.startsWith("/")) return FORMATS.urlPath.check(text);
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !/^https?:$/.test(url.protocol) || url.username + url.password + url.hash !== "")
      fail(
        `${show(text)} is neither a path nor an http or https URL; write for example /tls-allowed or http://127.0.0.1:8000/tls-allowed`,
      );
  }),
  authFields: list("list of field names", (text) => {
    checkFieldName(text);
    // WSGI cannot tell _ from -, and what only Paddock may say is dropped from every request.
    if (text.includes("_") || /^(?:host|forwarded|x-forwarded-.*|x-real-ip|x-request-.*|cookie)$/i.test(text))
      fail(`the app does not take ${text} from an auth server; choose another field`);
  }),
  off: {
    says: "`false`",
    shape: "scalar",
    coerce: (text: string) => (text === "false" ? false : text),
    check: (value: unknown) => {
      if (value !== false) fail(`must be a mapping of keys to values, or false, not ${show(value)}`);
    },
  },
  cacheOff: {
    says: "`false`",
    shape: "scalar",
    coerce: (text: string) => (text === "false" ? false : text),
    check: (value: unknown) => {
      if (value !== false) fail(`must be false, not ${show(value)}; the cache itself is given for the site`);
    },
  },
  onlyFalse: only("`false`", false),
} as const satisfies Readonly<Record<string, Format>>;

export type FormatName = keyof typeof FORMATS;

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function checkDirectory(text: string): void {
  if (Object.hasOwn(KNOWN_DIRECTORIES, text)) return;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail(
      `"${text}" is no known CA and no directory URL${didYouMean(text, Object.keys(KNOWN_DIRECTORIES))}`,
    );
  }
  if (url.username !== "" || url.password !== "") fail("a directory URL has no user name and no password");
  if (url.protocol === "https:") return;
  // RFC 8555 section 6.1 asks for https. A CA on the same machine is a test, and nothing leaves the machine.
  if (url.protocol === "http:" && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)) return;
  fail(`"${text}" must be an https URL (RFC 8555 section 6.1)`);
}

function checkPrefix(prefix: string): void {
  const problem = prefixProblem(prefix);
  if (problem !== null) fail(problem);
}

/** Why a text is no URL prefix, or null where it is one. */
export function prefixProblem(prefix: string): string | null {
  if (!prefix.startsWith("/")) return `the prefix ${show(prefix)} must begin with a slash`;
  if (!prefix.endsWith("/")) return `the prefix "${prefix}" must end with a slash: "${prefix}/"`;
  if (!/^[A-Za-z0-9/._~!$&'()*+,;=:@-]+$/.test(prefix))
    return `the prefix ${show(prefix)} has a character that a URL's path cannot have`;
  if (/\/\/|\/\.\.?\//.test(prefix)) return `the prefix "${prefix}" has an empty or a dot segment`;
  return null;
}

/** RFC 7617 section 2: a colon ends the name. */
function checkUserName(name: string): void {
  if (name === "" || /[:\x00-\x1f\x7f]/.test(name)) fail(`${show(name)} is no user name`);
}

function checkFieldName(name: string): void {
  if (!TOKEN.test(name)) fail(`${show(name)} is no field name (RFC 9110 section 5.1)`);
  if (CONNECTION_FIELDS.has(name.toLowerCase()))
    fail(`${name} belongs to the connection; Paddock sets it itself`);
}

function checkFieldValue(name: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== "string")
    fail(`must be text in quotes, or null to remove the field, not ${show(value)}`);
  // RFC 9110 section 5.5: visible characters, spaces and tabs; what lies beyond ASCII would be guessed at.
  if (!/^[\t\x20-\x7e]*$/.test(value)) fail(`the value of ${name} has a character that no field may have`);
  if (value.trim() !== value) fail(`the value of ${name} begins or ends with a space`);
}

/** Fields of the connection or of the message's framing (RFC 9110 section 7.6.1, RFC 9112 section 6). */
const CONNECTION_FIELDS = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

function parsed(result: Parsed<unknown>): void {
  if ("problem" in result) fail(result.problem);
}

function plainText(text: string): void {
  if (text.trim() === "") fail("is empty");
  if (/[\x00-\x1f\x7f]/.test(text)) fail("has a control character in it");
}
