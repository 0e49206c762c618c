import { parseFieldLines, trimWhitespace, type Fields } from "./fields.ts";
import { CONTENT_LENGTH, TOKEN } from "./grammar.ts";
import { readHost } from "./host.ts";
import { MessageError } from "./problem.ts";

export interface RequestHead {
  readonly method: string;
  /** Origin-form (RFC 9112 section 3.2.1), or `*` for OPTIONS. */
  readonly target: string;
  readonly minorVersion: 0 | 1;
  /** Host as sent, but for a colon without a port; the empty string only for an HTTP/1.0 request without one. */
  readonly host: string;
  readonly fields: Fields;
  /** Bytes of the body; -1 means chunked; 0 means none. */
  readonly bodyLength: number;
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
  /**
   * `websocket` where the client asks for it (RFC 6455 section 4.1). Other protocols, h2c above all, are not passed
   * on: what they carry would go past this parser.
   */
  readonly upgrade: "" | "websocket";
}

const TARGET = /^[\x21\x22\x24-\x7e]+$/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/** Reads a request head, the text up to and without the empty line. Throws MessageError with its status. */
export function parseRequestHead(text: string): RequestHead {
  const lines = text.split("\r\n");
  const { method, target: written, minorVersion } = parseRequestLine(lines[0] as string);
  const fields = parseFieldLines(lines, 1, 400);
  let hosts = 0;
  let host = "";
  let connectionTokens = "";
  let lengths = 0;
  let contentLength = 0;
  let codings = 0;
  let coding = "";
  let expectation = "";
  let upgrade = "";
  for (let index = 0; index < fields.length; index += 2) {
    const value = fields[index + 1] as string;
    switch (fields[index]) {
      case "host":
        hosts++;
        host = value;
        break;
      case "content-length":
        if (!CONTENT_LENGTH.test(value))
          throw new MessageError(400, "Content-Length is not one decimal number");
        lengths++;
        contentLength = Number(value);
        break;
      case "transfer-encoding":
        codings++;
        coding = value.toLowerCase();
        break;
      case "connection":
        connectionTokens += `,${value.toLowerCase()}`;
        break;
      case "upgrade":
        upgrade += `,${value.toLowerCase()}`;
        break;
      case "expect":
        if (expectation === "" || expectation === "100-continue") expectation = value.toLowerCase();
        break;
      default:
    }
  }
  if (hosts > 1) throw new MessageError(400, "more than one Host");
  if (hosts === 0 && minorVersion === 1) throw new MessageError(400, "no Host");
  if (hosts === 1) {
    const read = readHost(host);
    if (read === null) throw new MessageError(400, "Host is not a name with an optional port");
    host = read;
  }
  if (lengths > 1) throw new MessageError(400, "more than one Content-Length");
  if (codings > 0) checkTransferCoding(codings, coding, lengths, minorVersion);
  if (expectation !== "" && expectation !== "100-continue")
    throw new MessageError(417, "an unknown expectation");
  const tokens =
    connectionTokens === "" ? [] : connectionTokens.split(",").map((token) => trimWhitespace(token));
  const bodyLength = codings > 0 ? -1 : contentLength;
  const upgrades =
    upgrade === ",websocket" && method === "GET" && minorVersion === 1 && tokens.includes("upgrade");
  return {
    method,
    target: originForm(method, written, host),
    minorVersion,
    host,
    fields,
    bodyLength,
    keepAlive: minorVersion === 1 ? !tokens.includes("close") : tokens.includes("keep-alive"),
    expectsContinue: expectation !== "" && minorVersion === 1,
    upgrade: upgrades && bodyLength === 0 ? "websocket" : "",
  };
}

function parseRequestLine(line: string): { method: string; target: string; minorVersion: 0 | 1 } {
  const parts = line.split(" ");
  if (parts.length !== 3) throw new MessageError(400, "the request line is not method, target, version");
  const [method, target, version] = parts as [string, string, string];
  if (!TOKEN.test(method)) throw new MessageError(400, "the method is not a token");
  if (!TARGET.test(target)) throw new MessageError(400, "the target holds a byte that no URI may hold");
  if (version === "HTTP/1.1") return { method, target, minorVersion: 1 };
  if (version === "HTTP/1.0") return { method, target, minorVersion: 0 };
  if (/^HTTP\/[0-9]\.[0-9]$/.test(version)) throw new MessageError(505, `${version} is not spoken here`);
  throw new MessageError(400, "the version is not HTTP/1.1");
}

/** RFC 9112 section 6.1. With Content-Length beside it, it is the smuggler's request: refused, never repaired. */
function checkTransferCoding(count: number, coding: string, lengths: number, minorVersion: 0 | 1): void {
  if (lengths > 0) throw new MessageError(400, "Transfer-Encoding together with Content-Length");
  if (minorVersion === 0) throw new MessageError(400, "Transfer-Encoding in HTTP/1.0");
  if (count > 1) throw new MessageError(400, "more than one Transfer-Encoding");
  if (coding === "chunked") return;
  const codings = coding.split(",").map((item) => trimWhitespace(item));
  const chunkedLast = codings.at(-1) === "chunked" && codings.indexOf("chunked") === codings.length - 1;
  if (chunkedLast && codings.every((item) => TOKEN.test(item))) {
    throw new MessageError(501, "a transfer coding other than chunked");
  }
  throw new MessageError(400, "Transfer-Encoding does not end with one chunked");
}

/** RFC 9112 section 3.2: origin-form as it is, absolute-form checked against Host and cut to origin-form. */
function originForm(method: string, target: string, host: string): string {
  if (method === "CONNECT") throw new MessageError(501, "CONNECT: this is no forward proxy");
  if (target.charCodeAt(0) === 0x2f) return target;
  if (target === "*" && method === "OPTIONS") return target;
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) throw new MessageError(400, "the target is neither a path nor an absolute URI");
  const [, authority, rest] = absolute as unknown as [string, string, string];
  if (readHost(authority)?.toLowerCase() !== host.toLowerCase()) {
    throw new MessageError(400, "the target names another host than Host does");
  }
  // Section 3.2.4: the last proxy turns an empty path without a query into the asterisk, for OPTIONS only.
  if (rest === "" && method === "OPTIONS") return "*";
  return rest.startsWith("/") ? rest : `/${rest}`;
}
