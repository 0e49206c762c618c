import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http2";
import { CONTENT_LENGTH, FIELD_VALUE, LIMITS, TOKEN } from "../http1/grammar.ts";
import { readHost } from "../http1/host.ts";
import { MessageError } from "../http1/problem.ts";

export interface RequestHead {
  readonly method: string;
  /** Path and query, or `*` for OPTIONS. */
  readonly target: string;
  /** :authority, or Host where there is none, without a colon that no port follows. */
  readonly host: string;
  /** Name and value alternate; names are lower case. */
  readonly fields: readonly string[];
  /** Bytes of the body; -1 when only the end of the stream will tell. */
  readonly bodyLength: number;
  readonly upgrade: "" | "websocket";
  readonly expectsContinue: boolean;
}

/**
 * Reads a head as RFC 9113 sections 8.2 and 8.3 have it, as strictly as the HTTP/1.1 codec: the app gets HTTP/1.1
 * made of it. `ended`: the stream ends with it. Throws MessageError with its status.
 */
export function readRequestHead(headers: IncomingHttpHeaders, ended: boolean): RequestHead {
  const method = headers[":method"] ?? "";
  const target = headers[":path"] ?? "";
  if (!TOKEN.test(method)) throw new MessageError(400, "the method is not a token");
  const upgrade = method === "CONNECT" ? readProtocol(headers, ended) : "";
  if (!/^\/[\x21\x22\x24-\x7e]*$/.test(target) && !(target === "*" && method === "OPTIONS"))
    throw new MessageError(400, "the path holds a byte that no URI may hold");
  if (target.length > LIMITS.startLine) throw new MessageError(414, "the path is too long");
  const host = readHost(headers[":authority"] ?? headers.host ?? "");
  if (host === null) throw new MessageError(400, "the authority is not a name with an optional port");
  if (headers.host !== undefined && readHost(headers.host)?.toLowerCase() !== host.toLowerCase())
    throw new MessageError(400, "Host and :authority differ");
  const length = headers["content-length"];
  const bodyLength = ended ? 0 : length === undefined ? -1 : Number(length);
  const fields = readFields(headers);
  const expectation = headers.expect?.toLowerCase();
  if (expectation !== undefined && expectation !== "100-continue")
    throw new MessageError(417, "an unknown expectation");
  if (upgrade === "") {
    const expectsContinue = expectation !== undefined && bodyLength !== 0;
    return { method, target, host, fields, bodyLength, upgrade, expectsContinue };
  }
  // RFC 8441 section 5: over HTTP/2 there is no key and no answer to it; the app, asked over HTTP/1.1, wants one.
  fields.push("sec-websocket-key", randomBytes(16).toString("base64"));
  return { method: "GET", target, host, fields, bodyLength: 0, upgrade, expectsContinue: false };
}

/** RFC 8441 section 4: extended CONNECT. A plain one asks for a forward proxy. */
function readProtocol(headers: IncomingHttpHeaders, ended: boolean): "websocket" {
  const protocol = headers[":protocol"];
  if (protocol === undefined) throw new MessageError(501, "CONNECT: this is no forward proxy");
  if (protocol !== "websocket") throw new MessageError(501, "a protocol other than websocket");
  if (ended) throw new MessageError(400, "a WebSocket on a stream that has ended");
  if (headers[":scheme"] !== "https")
    throw new MessageError(400, "a WebSocket with another scheme than https");
  return protocol;
}

function readFields(headers: IncomingHttpHeaders): string[] {
  const fields: string[] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    if (!TOKEN.test(name)) throw new MessageError(400, "a field name that is not a token");
    for (const one of Array.isArray(value) ? value : [value]) {
      if (!FIELD_VALUE.test(one)) throw new MessageError(400, "a control character in a field value");
      if (name === "content-length" && !CONTENT_LENGTH.test(one))
        throw new MessageError(400, "Content-Length is not one decimal number");
      bytes += name.length + one.length;
      fields.push(name, one);
    }
  }
  // Node holds its own limit only once the client has acknowledged our SETTINGS.
  if (bytes > LIMITS.fieldBytes) throw new MessageError(431, "the fields are too long");
  if (fields.length > 2 * LIMITS.fieldCount) throw new MessageError(431, "more than 100 fields");
  return fields;
}
