/** What each parser may do with any bytes. The oracles are written from the grammar, not from the parsers. */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { requestedRange } from "../../src/handlers/static/byte-range.ts";
import { ChunkedDecoder } from "../../src/http1/chunked.ts";
import { HeadScanner } from "../../src/http1/head-scanner.ts";
import { MessageError } from "../../src/http1/problem.ts";
import { parseRequestHead } from "../../src/http1/request-head.ts";
import { parseResponseHead } from "../../src/http1/response-head.ts";
import { readProxyHeader } from "../../src/proxy-protocol/read.ts";
import { MALFORMED } from "../http1/malformed-corpus.ts";

export interface Target {
  readonly corpus: readonly string[];
  /** Throws AssertionError where the parser did what it must not; `random` chooses splits. True where it was taken. */
  check(text: string, random: (below: number) => number): boolean;
}

const FIELD_LINE = /^[!#-'*+\-.0-9A-Z^-z|~]+:[\t\x20-\x7e\x80-\xff]*$/;
const REQUEST_LINE = /^[!#-'*+\-.0-9A-Z^-z|~]+ [!-"$-~]+ HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] [1-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/** The result, or the status of the breach; anything else that is thrown is a finding. */
function outcome<T>(work: () => T): T | number {
  try {
    return work();
  } catch (error) {
    if (error instanceof MessageError) return error.status;
    throw error;
  }
}

/** The end of the head in bytes that come in two parts, or the status of the breach. */
function scan(bytes: Buffer, status: number, cut: number): number {
  const scanner = new HeadScanner(status);
  const first = outcome(() => scanner.scan(bytes.subarray(0, cut)));
  // A breach is told apart from an offset by its sign.
  if (first !== -1) return first;
  return outcome(() => scanner.scan(bytes));
}

/** The head without its empty line, which is at the same place in every split, or null. */
function headOf(text: string, status: number, random: (below: number) => number): string | null {
  const bytes = Buffer.from(text, "latin1");
  const whole = scan(bytes, status, bytes.length);
  assert.equal(scan(bytes, status, random(bytes.length + 1)), whole, "another end in another split");
  const end = text.indexOf("\r\n\r\n");
  return end !== -1 && whole === end + 4 ? text.slice(0, end) : null;
}

function values(lines: readonly string[], name: string): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(":");
    return line.slice(0, colon).toLowerCase() === name
      ? [line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "")]
      : [];
  });
}

function checkRequest(text: string, random: (below: number) => number): boolean {
  const head = headOf(text, 400, random);
  if (head === null) return false;
  const parsed = outcome(() => parseRequestHead(head));
  if (typeof parsed === "number") {
    assert.ok([400, 417, 431, 501, 505].includes(parsed), `status ${parsed}`);
    return false;
  }
  const [start, ...lines] = head.split("\r\n") as [string, ...string[]];
  assert.match(start, REQUEST_LINE);
  for (const line of lines) assert.match(line, FIELD_LINE);
  const [lengths, codings, hosts] = ["content-length", "transfer-encoding", "host"].map((name) =>
    values(lines, name),
  );
  assert.ok((lengths?.length ?? 0) + (codings?.length ?? 0) <= 1, "framed twice");
  assert.ok(hosts?.length === 1 || (hosts?.length === 0 && start.endsWith("1.0")), "not one Host");
  assert.equal(parsed.bodyLength, codings?.length === 1 ? -1 : Number(lengths?.[0] ?? 0));
  if (codings?.length === 1) assert.equal(codings[0]?.toLowerCase(), "chunked");
  if (lengths?.length === 1) assert.match(lengths[0] as string, /^\d+$/);
  assert.match(parsed.target, /^\/|^\*$/);
  // Written again from what was understood, it is understood the same.
  const fields = parsed.fields.flatMap((name, at) =>
    at % 2 === 0 ? [`${name}: ${parsed.fields[at + 1]}`] : [],
  );
  const target = parsed.method === "OPTIONS" && parsed.target === "*" ? "*" : parsed.target;
  const again = parseRequestHead(
    [`${parsed.method} ${target} HTTP/1.${parsed.minorVersion}`, ...fields].join("\r\n"),
  );
  assert.deepEqual(again, parsed);
  return true;
}

function checkResponse(text: string, random: (below: number) => number): boolean {
  const head = headOf(text, 502, random);
  if (head === null) return false;
  const parsed = outcome(() => parseResponseHead(head, "GET"));
  if (typeof parsed === "number") {
    assert.equal(parsed, 502);
    return false;
  }
  const [start, ...lines] = head.split("\r\n") as [string, ...string[]];
  assert.match(start, STATUS_LINE);
  for (const line of lines) assert.match(line, FIELD_LINE);
  const lengths = values(lines, "content-length");
  const codings = values(lines, "transfer-encoding");
  assert.ok(codings.length === 0 || (codings.length === 1 && lengths.length === 0), "framed twice");
  assert.ok(new Set(lengths.map(Number)).size <= 1, "two lengths");
  const bodiless = parsed.status < 200 || parsed.status === 204 || parsed.status === 304;
  const framed = codings.length === 1 ? -1 : lengths.length === 0 ? -2 : Number(lengths[0]);
  assert.equal(parsed.bodyLength, bodiless ? 0 : framed);
  return true;
}

/** RFC 9112 section 7.1, slowly: what the chunks hold and where they end, or null where they are not whole. */
function decodeSlowly(text: string): { body: string; end: number } | null {
  let body = "";
  for (let at = 0; ; ) {
    const line = /^([0-9A-Fa-f]{1,13})([^\r\n]*)\r\n/.exec(text.slice(at));
    if (line === null || !/^(?:[\t ]*;.*)?$/s.test(line[2] as string)) return null;
    at += line[0].length;
    const size = Number.parseInt(line[1] as string, 16);
    if (size === 0) {
      const trailers = /^(?:[^\r\n]+\r\n)*\r\n/.exec(text.slice(at));
      if (trailers === null) return null;
      for (const trailer of trailers[0].split("\r\n").filter((one) => one !== "")) {
        if (!FIELD_LINE.test(trailer)) return null;
      }
      return { body, end: at + trailers[0].length };
    }
    if (text.length < at + size + 2 || text.slice(at + size, at + size + 2) !== "\r\n") return null;
    body += text.slice(at, at + size);
    at += size + 2;
  }
}

function decode(bytes: Buffer, cut: number): { body: string; end: number; done: boolean } | number {
  const parts: string[] = [];
  const decoder = new ChunkedDecoder(400, (data) => parts.push(data.toString("latin1")));
  return outcome(() => {
    let end = decoder.feed(bytes.subarray(0, cut), 0);
    if (!decoder.done) end += decoder.feed(bytes.subarray(cut), 0);
    return { body: parts.join(""), end, done: decoder.done };
  });
}

function checkChunked(text: string, random: (below: number) => number): boolean {
  const bytes = Buffer.from(text, "latin1");
  const whole = decode(bytes, bytes.length);
  assert.deepEqual(decode(bytes, random(bytes.length + 1)), whole, "another result in another split");
  if (typeof whole === "number" || !whole.done) return false;
  assert.deepEqual({ body: whole.body, end: whole.end }, decodeSlowly(text));
  return true;
}

function checkProxy(text: string, random: (below: number) => number): boolean {
  const bytes = Buffer.from(text, "latin1");
  const whole = readProxyHeader(bytes);
  const part = readProxyHeader(bytes.subarray(0, random(bytes.length + 1)));
  if (part !== "incomplete") assert.deepEqual(part, whole, "more bytes change what was decided");
  if (typeof whole === "string") return false;
  assert.ok(whole.length > 0 && whole.length <= bytes.length);
  assert.ok(whole.address === null || isIP(whole.address) !== 0, `${whole.address} is no address`);
  if (text.startsWith("PROXY ")) {
    assert.ok(whole.length <= 107);
    assert.match(text, /^PROXY (?:UNKNOWN(?: [^]*?)?|TCP[46] \S+ \S+ \d{1,5} \d{1,5})\r\n/);
  } else assert.equal(text.slice(0, 12), "\r\n\r\n\0\r\nQUIT\n");
  return true;
}

function checkRange(text: string, random: (below: number) => number): boolean {
  const size = [0, 1, 10, 1000, 2 ** 40][random(5)] as number;
  const range = requestedRange(text, size);
  if (typeof range !== "object") return false;
  assert.ok(Number.isSafeInteger(range.start) && Number.isSafeInteger(range.length));
  assert.ok(range.start >= 0 && range.length > 0 && range.start + range.length <= size, "beyond the file");
  assert.match(text, /^bytes=[\t ]*(?:\d+-\d*|-\d+)[\t ]*$/i);
  return true;
}

const V2 = "\r\n\r\n\0\r\nQUIT\n";
const requests = MALFORMED.map((one) => one.bytes).filter((bytes) => bytes.length <= 600);
const chunked = MALFORMED.filter((one) => one.inBody).map((one) =>
  one.bytes.slice(one.bytes.indexOf("\r\n\r\n") + 4),
);

export const TARGETS: Readonly<Record<string, Target>> = {
  request: {
    corpus: [
      ...requests,
      "GET /a?b HTTP/1.1\r\nHost: example.com\r\nX-A: 1\r\n\r\n",
      "POST http://a.test/b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
      "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
    check: checkRequest,
  },
  response: {
    corpus: [
      ...requests.map((bytes) => bytes.replace(/^[^\n]*\n/, "HTTP/1.1 200 OK\r\n")),
      'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
      "HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    check: checkResponse,
  },
  chunked: {
    corpus: [
      ...chunked,
      "5\r\nhello\r\n0\r\n\r\n",
      'a;b="c d";e\r\n0123456789\r\n0\r\nX-A: 1\r\n\r\nrest',
      "0\r\n\r\n",
    ].filter((bytes) => bytes.length <= 600),
    check: checkChunked,
  },
  proxy: {
    corpus: [
      "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /",
      "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
      "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 65535\r\n",
      "PROXY UNKNOWN ffff::1\r\n",
      `${V2}\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x01\x02\x03\x04`,
      `${V2}\x21\x21\0\x24${"\x20\x01\x0d\xb8".repeat(8)}\x01\x02\x03\x04`,
      `${V2}\x21\x21\0\x24${"\0".repeat(10)}\xff\xff\xc0\0\x02\x01${"\0".repeat(16)}\x01\x02\x03\x04`,
      `${V2}\x20\0\0\0`,
    ],
    check: checkProxy,
  },
  range: {
    corpus: [
      "bytes=0-",
      "bytes=0-0",
      "bytes=-5",
      "bytes=9-99",
      "BYTES= 1-2 ",
      "bytes=0-1,3-4",
      "lines=1-2",
      "bytes=5-1",
    ],
    check: checkRange,
  },
};
