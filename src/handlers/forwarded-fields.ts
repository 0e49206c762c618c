import type { Exchange } from "../exchange/exchange.ts";

/** RFC 9110 section 7.6.1: fields of one connection, and those that Connection names, go no further. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "content-length",
]);

/** What only Paddock may say to the app; a client's own copy would let it choose its address or its scheme. */
const SPOOFABLE = new Set([
  "host",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-protocol",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-ssl",
  "x-real-ip",
  "x-request-id",
  "x-request-start",
]);

/** The names that Connection lists, or null where it lists none; looked for only where there is one. */
function namedByConnection(fields: readonly string[]): Set<string> | null {
  let named: Set<string> | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== "connection") continue;
    named ??= new Set();
    for (const name of (fields[index + 1] as string).split(",")) named.add(name.trim().toLowerCase());
  }
  return named;
}

/** The client's fields that may go on to another server: not its hop's, and nothing that only Paddock may say. */
export function fieldsToPassOn(fields: readonly string[]): string[] {
  const named = namedByConnection(fields);
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (goesOn(name, named)) kept.push(name, fields[index + 1] as string);
  }
  return kept;
}

function goesOn(name: string, named: ReadonlySet<string> | null): boolean {
  return (
    !HOP_BY_HOP.has(name) &&
    !SPOOFABLE.has(name) &&
    !name.includes("_") &&
    !(named !== null && named.has(name))
  );
}

/**
 * The request head as the app gets it, for a body of `bodyLength` bytes or -1 for chunked. `_` names are dropped: WSGI turns `-` into `_`, so that `X_Forwarded_For`
 * would arrive under the name of the real one.
 */
export function upstreamRequestHead(exchange: Exchange, bodyLength: number): string {
  const { id, clientAddress, host } = exchange;
  const fields = exchange.appFields ?? exchange.fields;
  const named = namedByConnection(fields);
  const scheme = exchange.secure ? "https" : "http";
  let head = `${exchange.method} ${exchange.target} HTTP/1.1\r\nHost: ${host}\r\n`;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!goesOn(name, named)) continue;
    head += `${name}: ${fields[index + 1]}\r\n`;
  }
  if (bodyLength > 0 || (bodyLength === 0 && (exchange.bodyLength !== 0 || hasContentLength(fields)))) {
    head += `Content-Length: ${bodyLength}\r\n`;
  } else if (bodyLength === -1) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  if (exchange.upgrade !== "") head += `Connection: upgrade\r\nUpgrade: ${exchange.upgrade}\r\n`;
  return (
    `${head}X-Forwarded-For: ${exchange.forwardedFor || clientAddress}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Host: ${host}\r\n` +
    `X-Real-IP: ${clientAddress}\r\nX-Request-ID: ${id}\r\nX-Request-Start: t=${exchange.startedAt}\r\n\r\n`
  );
}

function hasContentLength(fields: readonly string[]): boolean {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === "content-length") return true;
  return false;
}

/** What the app says to its proxy alone; the cache has read X-Accel-Expires before (`handlers/cache/freshness.ts`). */
const FOR_THE_PROXY = new Set([
  "x-accel-redirect",
  "x-accel-buffering",
  "x-accel-expires",
  "x-accel-limit-rate",
  "x-accel-charset",
  "x-sendfile",
]);

/** The app's fields as the client gets them, without those of the hop between Paddock and the app. */
export function endToEndFields(fields: readonly string[]): string[] {
  const named = namedByConnection(fields);
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (HOP_BY_HOP.has(name) || (named !== null && named.has(name))) continue;
    if (name.startsWith("x-") && FOR_THE_PROXY.has(name)) continue;
    kept.push(name, fields[index + 1] as string);
  }
  return kept;
}
