import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http2";
import { test } from "node:test";
import { readRequestHead } from "../../src/http2/request-head.ts";

const GET = { ":method": "GET", ":scheme": "https", ":path": "/a?b", ":authority": "a.test" };

test("a head becomes what the HTTP/1.1 codec would have made of it", () => {
  const head = readRequestHead({ ...GET, "content-length": "5", cookie: "a=b" }, false);
  assert.deepEqual(head, {
    method: "GET",
    target: "/a?b",
    host: "a.test",
    fields: ["content-length", "5", "cookie", "a=b"],
    bodyLength: 5,
    upgrade: "",
    expectsContinue: false,
  });
  assert.equal(readRequestHead({ ...GET, expect: "100-Continue" }, false).expectsContinue, true);
  assert.equal(readRequestHead({ ...GET, expect: "100-continue" }, true).expectsContinue, false);
  assert.equal(readRequestHead(GET, false).bodyLength, -1);
  assert.equal(readRequestHead(GET, true).bodyLength, 0);
  assert.equal(readRequestHead({ ...GET, ":authority": "a.test:" }, true).host, "a.test");
  assert.equal(readRequestHead({ ...GET, host: "A.test:" }, true).host, "a.test");
  assert.equal(readRequestHead({ ...GET, ":method": "OPTIONS", ":path": "*" }, true).target, "*");
});

test("extended CONNECT is a WebSocket's GET, with a key of its own", () => {
  const head = readRequestHead({ ...GET, ":method": "CONNECT", ":protocol": "websocket" }, false);
  assert.equal(head.method, "GET");
  assert.equal(head.upgrade, "websocket");
  assert.equal(head.bodyLength, 0);
  assert.match(head.fields[head.fields.indexOf("sec-websocket-key") + 1] ?? "", /^[A-Za-z0-9+/]{22}==$/);
});

test("what the HTTP/1.1 codec refuses is refused with the same status", () => {
  const cases: readonly (readonly [number, IncomingHttpHeaders])[] = [
    [400, { ":method": "G T" }],
    [501, { ":method": "CONNECT" }],
    [501, { ":method": "CONNECT", ":protocol": "connect-udp" }],
    [400, { ":method": "CONNECT", ":protocol": "websocket" }],
    [417, { expect: "a miracle" }],
    [431, Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`x-${at}`, "v".repeat(1_000)]))],
    [400, { ":path": "a" }],
    [400, { ":path": "*" }],
    [400, { ":path": "/a b" }],
    [400, { ":path": "/a#b" }],
    [414, { ":path": `/${"a".repeat(8 * 1024)}` }],
    [400, { ":authority": "" }],
    [400, { ":authority": "user@a.test" }],
    [400, { ":authority": "a.test:65536" }],
    [400, { host: "b.test" }],
    [400, { "content-length": "+5" }],
    [400, { "x-a": "b\0c" }],
    [400, { "x a": "b" }],
    [431, Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`x-${index}`, "1"]))],
  ];
  for (const [status, headers] of cases) {
    assert.throws(() => readRequestHead({ ...GET, ...headers }, true), { status }, JSON.stringify(headers));
  }
});
