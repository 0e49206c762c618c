import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkedDecoder } from "../../src/http1/chunked.ts";
import { HeadScanner } from "../../src/http1/head-scanner.ts";
import { MessageError } from "../../src/http1/problem.ts";
import { parseRequestHead } from "../../src/http1/request-head.ts";
import { parseResponseHead } from "../../src/http1/response-head.ts";
import { ServerConnection } from "../../src/http1/server-connection.ts";
import { MALFORMED } from "./malformed-corpus.ts";
import { quietOptions, recordInto, type Seen } from "./wire.ts";

const TIMEOUT = { timeout: 60_000 };
const TOKEN_CHARS = Array.from("!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz");
const TARGET_CHARS = Array.from("/?&=%20abcXYZ123._~-:@!$'()*+,;\"<>[]{}|\\^`");
const HOSTS = ["example.com", "EXAMPLE.com:8443", "a", "[::1]:80", "192.0.2.7", "x_y.test"];
const PAYLOAD = "\t !\"#$%&'()*+,-./0123:;<=>?@ABC[\\]^_`abc{|}~\x80\x85\xa0\xff";

const token = fc.string({ unit: fc.constantFrom(...TOKEN_CHARS), minLength: 1, maxLength: 8 });
const latin1 = fc.string({ unit: fc.constantFrom(...Array.from(PAYLOAD)), maxLength: 20 });
const bodyText = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

/** Bytes of a chunked body, and what it decodes to. */
const chunkedBody = fc
  .record({
    chunks: fc.array(
      bodyText.filter((text) => text !== ""),
      { maxLength: 4 },
    ),
    zeros: fc.nat({ max: 4 }),
    extension: fc.constantFrom("", ";a", ";a=b", ' ; a="b c"', "\t;x"),
    upper: fc.boolean(),
    trailer: fc.constantFrom("", "X-A: 1\r\n", "X-A:\r\nx-b: \xe9 \r\n"),
  })
  .map(({ chunks, zeros, extension, upper, trailer }) => {
    const size = (length: number): string => {
      const text = "0".repeat(zeros) + length.toString(16);
      return (upper ? text.toUpperCase() : text) + extension;
    };
    const coded = chunks.map((chunk) => `${size(chunk.length)}\r\n${chunk}\r\n`).join("");
    return { bytes: `${coded}${size(0)}\r\n${trailer}\r\n`, body: chunks.join("") };
  });

const request = fc
  .record({
    method: token.filter((method) => method !== "CONNECT"),
    path: fc.string({ unit: fc.constantFrom(...TARGET_CHARS), maxLength: 20 }),
    host: fc.constantFrom(...HOSTS),
    fields: fc.array(
      fc.tuple(
        token.map((name) => `x-${name.toLowerCase()}`),
        latin1,
      ),
      { maxLength: 4 },
    ),
    blanks: fc.constantFrom("", " ", "\t", "  \t"),
    body: fc.oneof(
      fc.constant({ framing: "", bytes: "", body: "" }),
      bodyText.map((body) => ({ framing: `Content-Length: ${body.length}\r\n`, bytes: body, body })),
      chunkedBody.map((body) => ({ framing: "Transfer-Encoding: Chunked\r\n", ...body })),
    ),
    emptyLine: fc.boolean(),
  })
  .map(({ method, path, host, fields, blanks, body, emptyLine }) => {
    const lines = fields.map(([name, value]) => `${name}:${blanks}${value}${blanks}\r\n`).join("");
    const head = `${method} /${path} HTTP/1.1\r\nHost:${blanks}${host}\r\n${lines}${body.framing}\r\n`;
    return {
      bytes: (emptyLine ? "\r\n" : "") + head + body.bytes,
      method,
      target: `/${path}`,
      host,
      fields: fields.map(([name, value]) => [name, value.replace(/^[\t ]+|[\t ]+$/g, "")]),
      body: body.body,
    };
  });

interface Outcome {
  readonly seen: Seen[];
  readonly refused: number[];
  readonly output: string;
}

/** What a connection makes of the parts, fed one by one in this very turn. */
function feed(parts: readonly Buffer[]): Outcome {
  const seen: Seen[] = [];
  const refused: number[] = [];
  let output = "";
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer | string, _encoding, done) {
      output += chunk.toString("latin1");
      done();
    },
    decodeStrings: true,
  });
  const options = {
    ...quietOptions(recordInto(seen)),
    refused: (status: number) => void refused.push(status),
  };
  assert.ok(new ServerConnection(socket, options).persistent);
  for (const part of parts) socket.emit("data", Buffer.from(part));
  socket.destroy();
  return { seen, refused, output: output.replace(/\r\ndate: [^\r]*/g, "") };
}

function cut(whole: Buffer, points: readonly number[]): Buffer[] {
  const cuts = [...new Set(points.map((point) => 1 + (point % Math.max(1, whole.length - 1))))];
  cuts.sort((a, b) => a - b);
  return [...cuts, whole.length].map((end, index) => whole.subarray(index === 0 ? 0 : cuts[index - 1], end));
}

void test("valid requests, pipelined too, mean the same in every split", TIMEOUT, () => {
  fc.assert(
    fc.property(
      fc.array(request, { minLength: 1, maxLength: 2 }),
      fc.array(fc.array(fc.nat(), { maxLength: 12 }), { maxLength: 6 }),
      (requests, splits) => {
        const whole = Buffer.from(requests.map((one) => one.bytes).join(""), "latin1");
        const once = feed([whole]);
        assert.deepEqual(once.refused, []);
        assert.equal(once.seen.length, requests.length);
        for (const [index, one] of requests.entries()) {
          const seen = once.seen[index] as Seen;
          const { method, target, host, body, ended, errors } = seen;
          const expected = { method: one.method, target: one.target, host: one.host, body: one.body };
          assert.deepEqual({ method, target, host, body }, expected);
          assert.deepEqual({ ended, errors }, { ended: 1, errors: [] });
          for (const pair of one.fields) assert.ok(hasPair(seen.fields, pair), `${pair.join()} is not there`);
        }
        for (let at = 1; at < whole.length; at++) {
          assert.deepEqual(feed([whole.subarray(0, at), whole.subarray(at)]), once, `split at ${at}`);
        }
        for (const points of splits) assert.deepEqual(feed(cut(whole, points)), once);
        assert.deepEqual(feed([...whole].map((byte) => Buffer.of(byte))), once, "byte by byte");
      },
    ),
    { numRuns: 100 },
  );
});

function hasPair(fields: readonly string[], pair: readonly (string | undefined)[]): boolean {
  return fields.some((name, index) => index % 2 === 0 && name === pair[0] && fields[index + 1] === pair[1]);
}

void test("malformed requests get the same status in every split, and no body ends", TIMEOUT, () => {
  for (const one of MALFORMED) {
    const whole = Buffer.from(one.bytes, "latin1");
    const check = (parts: Buffer[], what: string): void => {
      const { seen, refused } = feed(parts);
      const statuses = [...refused, ...seen.flatMap((entry) => entry.errors)];
      assert.deepEqual(statuses, [one.status], `${one.family}: ${one.name}, ${what}`);
      assert.ok(
        seen.every((entry) => entry.ended === 0),
        `${one.family}: ${one.name} ended, ${what}`,
      );
    };
    if (whole.length > 400) continue;
    for (let at = 1; at < whole.length; at++) check([whole.subarray(0, at), whole.subarray(at)], `at ${at}`);
    check(
      [...whole].map((byte) => Buffer.of(byte)),
      "byte by byte",
    );
  }
});

void test("ChunkedDecoder gives back what was coded, and stops at its end", TIMEOUT, () => {
  fc.assert(
    fc.property(chunkedBody, fc.array(fc.nat(), { maxLength: 12 }), bodyText, (coded, points, rest) => {
      const decoded: string[] = [];
      const decoder = new ChunkedDecoder(400, (data) => decoded.push(data.toString("latin1")));
      let used = 0;
      for (const part of cut(Buffer.from(coded.bytes + rest, "latin1"), points)) {
        if (!decoder.done) used += decoder.feed(part, 0);
      }
      assert.ok(decoder.done);
      assert.equal(decoded.join(""), coded.body);
      assert.equal(used, coded.bytes.length);
    }),
    { numRuns: 500 },
  );
});

void test("arbitrary bytes raise nothing but MessageError", TIMEOUT, () => {
  const near = [
    "\r",
    "\n",
    "\r\n",
    " ",
    ":",
    "GET / HTTP/1.1\r\n",
    "Host: a\r\n",
    "HTTP/1.1 200 OK\r\n",
    "5;",
    "0",
  ];
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.string({ unit: fc.oneof(fc.constantFrom(...near), latin1), maxLength: 30 }),
    fc
      .constantFrom("Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n")
      .chain((framing) => latin1.map((text) => `POST / HTTP/1.1\r\nHost: a\r\n${framing}${text}\r\n\r\n`)),
  );
  fc.assert(
    fc.property(hostile, fc.array(fc.nat(), { maxLength: 5 }), (text, points) => {
      const whole = Buffer.from(text, "latin1");
      onlyMessageError(() => {
        const scanner = new HeadScanner(400);
        for (let at = 0; at <= whole.length; at++) if (scanner.scan(whole.subarray(0, at)) !== -1) return;
      });
      onlyMessageError(() => parseRequestHead(text));
      onlyMessageError(() => parseResponseHead(text, "GET"));
      onlyMessageError(() => parseResponseHead(`HTTP/1.1 200 OK\r\n${text}`, "HEAD"));
      onlyMessageError(() => {
        const decoder = new ChunkedDecoder(502, () => {});
        for (const part of cut(whole, points)) decoder.feed(part, 0);
      });
      feed(cut(whole, points));
    }),
    { numRuns: 3000 },
  );
});

function onlyMessageError(work: () => void): void {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof MessageError, String(error));
    assert.ok([400, 414, 417, 431, 501, 502, 505].includes(error.status), `status ${error.status}`);
  }
}
