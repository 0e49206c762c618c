import assert from "node:assert/strict";
import { test } from "node:test";
import { ChunkedDecoder } from "../../src/http1/chunked.ts";
import { parseRequestHead } from "../../src/http1/request-head.ts";

function targetOf(method: string, target: string, host = "a.test"): string {
  return parseRequestHead(`${method} ${target} HTTP/1.1\r\nHost: ${host}`).target;
}

function hostOf(written: string): string {
  return parseRequestHead(`GET / HTTP/1.1\r\nHost: ${written}`).host;
}

void test("an absolute target is cut to a path; one without is `*` for OPTIONS and `/` for the others", () => {
  assert.equal(targetOf("GET", "http://a.test/b?c"), "/b?c");
  assert.equal(targetOf("GET", "http://a.test"), "/");
  assert.equal(targetOf("POST", "https://A.test"), "/");
  assert.equal(targetOf("GET", "http://a.test?c"), "/?c");
  assert.equal(targetOf("OPTIONS", "http://a.test"), "*");
  assert.equal(targetOf("OPTIONS", "http://a.test:8001", "a.test:8001"), "*");
  assert.equal(targetOf("OPTIONS", "http://a.test/"), "/");
  assert.equal(targetOf("OPTIONS", "http://a.test?c"), "/?c");
  assert.equal(targetOf("OPTIONS", "*"), "*");
});

void test("Host keeps its port, and loses a colon without one", () => {
  assert.equal(hostOf("a.test:65535"), "a.test:65535");
  assert.equal(hostOf("a.test:0"), "a.test:0");
  assert.equal(hostOf("[::1]:443"), "[::1]:443");
  assert.equal(hostOf("[::1]"), "[::1]");
  assert.equal(hostOf("a.test:"), "a.test");
  assert.equal(hostOf("[::1]:"), "[::1]");
  assert.equal(targetOf("GET", "http://a.test:/b"), "/b");
  assert.equal(targetOf("GET", "http://a.test/b", "a.test:"), "/b");
});

void test("chunk extensions as RFC 9112 has them are taken and dropped", () => {
  for (const extension of [
    ";a",
    ";a=b",
    ";a;b",
    ";a=b;c=d",
    " ; a = b",
    "\t;\ta\t=\tb",
    ';a=""',
    ';a="b;c=\\"d\\" \xe9"',
    ';a="b" ;c',
  ]) {
    const parts: string[] = [];
    const decoder = new ChunkedDecoder(400, (data) => parts.push(data.toString("latin1")));
    decoder.feed(Buffer.from(`5${extension}\r\nhello\r\n0${extension}\r\n\r\n`, "latin1"), 0);
    assert.ok(decoder.done, extension);
    assert.equal(parts.join(""), "hello");
  }
});
