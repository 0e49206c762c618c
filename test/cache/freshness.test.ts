/** Freshness and storability by the sections of RFC 9111 and RFC 5861. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { directivesOf, secondsOf } from "../../src/handlers/cache/cache-control.ts";
import { freshnessOf } from "../../src/handlers/cache/freshness.ts";
import { secretIn, storability } from "../../src/handlers/cache/storability.ts";

const NOW = Date.parse("Wed, 25 Nov 2026 10:00:00 GMT");
const DATE = ["date", "Wed, 25 Nov 2026 10:00:00 GMT"];

const fields = (text: string): string[] =>
  text === "" ? [] : text.split("\n").flatMap((line) => line.split(/: (.*)/s).slice(0, 2));

const freshness = (text: string): ReturnType<typeof freshnessOf> => {
  const list = [...DATE, ...fields(text)];
  const accel = list[list.indexOf("x-accel-expires") + 1];
  return freshnessOf(list, directivesOf(list), text.includes("x-accel") ? accel : undefined, NOW, NOW);
};

const LIFETIMES: readonly (readonly [section: string, text: string, lifetime: number | null])[] = [
  ["4.2.1 max-age", "cache-control: max-age=60", 60],
  ["4.2.1 s-maxage before max-age", "cache-control: max-age=60, s-maxage=5", 5],
  ["4.2.1 max-age before Expires", "cache-control: max-age=7\nexpires: Wed, 25 Nov 2026 11:00:00 GMT", 7],
  ["4.2.1 Expires less Date", "expires: Wed, 25 Nov 2026 10:01:00 GMT", 60],
  ["4.2.1 the smallest of several", "cache-control: max-age=60\ncache-control: max-age=10", 10],
  ["4.2.1 no number is stale", "cache-control: max-age=soon", 0],
  ["4.2.1 a negative number is none", "cache-control: max-age=-1", 0],
  ["1.2.2 too large is forever", "cache-control: max-age=99999999999999999999", 2 ** 31],
  ["5.2 the quoted form", 'cache-control: max-age="60"', 60],
  ["5.2 directives in any case", "cache-control: MAX-AGE=60", 60],
  ["5.2 not inside a quoted string", 'cache-control: x="max-age=60"', null],
  ["5.3 a date that is none lies in the past", "expires: 0", 0],
  ["5.3 a date in the past", "expires: Wed, 25 Nov 2026 09:00:00 GMT", 0],
  ["4.2.2 nothing is guessed", "last-modified: Wed, 25 Nov 2020 10:00:00 GMT", null],
  ["X-Accel-Expires seconds", "x-accel-expires: 30\ncache-control: max-age=60", 30],
  ["X-Accel-Expires at a time", `x-accel-expires: @${NOW / 1000 + 90}`, 90],
  ["X-Accel-Expires zero", "x-accel-expires: 0\ncache-control: max-age=60", 0],
  ["X-Accel-Expires that is none", "x-accel-expires: off\ncache-control: max-age=60", 0],
];
for (const [section, text, lifetime] of LIFETIMES)
  void test(`lifetime: ${section}`, () => assert.equal(freshness(text)?.lifetime ?? null, lifetime));

void test("age: 4.2.3, the larger of what Age and what Date tell, with the time of the answer", () => {
  const at = (list: string[]): number | undefined =>
    freshnessOf(
      [...list, "cache-control", "max-age=60"],
      directivesOf(["cache-control", "max-age=60"]),
      undefined,
      NOW,
      NOW + 2000,
    )?.initialAge;
  assert.equal(at([...DATE, "age", "10"]), 12);
  assert.equal(at(["date", "Wed, 25 Nov 2026 09:59:30 GMT"]), 32);
  assert.equal(at([]), 2);
});

void test("RFC 5861: beyond the lifetime, unless 4.2.4 forbids it", () => {
  const windows = "stale-while-revalidate=5, stale-if-error=7";
  for (const [text, expected] of [
    [`max-age=1, ${windows}`, [5, 7]],
    [`s-maxage=1, ${windows}`, [5, 7]],
    [`max-age=1, must-revalidate, ${windows}`, [0, 0]],
    [`max-age=1, proxy-revalidate, ${windows}`, [0, 0]],
    ["max-age=1", [0, 0]],
  ] as const) {
    const found = freshness(`cache-control: ${text}`);
    assert.deepEqual([found?.whileRevalidating, found?.ifError], expected, text);
  }
});

const REFUSED: readonly (readonly [text: string, reason: string, status?: number])[] = [
  ["", "no explicit freshness"],
  ["cache-control: no-store, max-age=60", "no-store"],
  ["cache-control: private, max-age=60", "private"],
  ['cache-control: private="x", max-age=60', "private"],
  ["cache-control: no-cache, max-age=60", "no-cache"],
  ["cache-control: public, max-age=60\nset-cookie: a=b", "Set-Cookie"],
  ["cache-control: max-age=60\nvary: accept, *", "Vary: *"],
  ["cache-control: max-age=60\ncontent-security-policy: script-src 'NONCE-abc'", "nonce"],
  ["cache-control: max-age=60\ncontent-security-policy-report-only: script-src 'nonce-abc'", "nonce"],
  ["cache-control: max-age=60\nx-accel-redirect: /x", "a file that the app names"],
  ["cache-control: max-age=60\nx-accel-buffering: no", "X-Accel-Buffering: no"],
  ["cache-control: max-age=60\ncontent-type: text/event-stream", "event stream"],
  ["cache-control: max-age=0", "not fresh"],
  ["cache-control: max-age=60\nage: 60", "not fresh"],
  ["cache-control: max-age=60", "status 206", 206],
  ["cache-control: max-age=60", "status 500", 500],
  ["cache-control: max-age=60", "status 302", 302],
];
for (const [text, expected, status = 200] of REFUSED)
  void test(`section 3 refuses ${status} ${JSON.stringify(text)}`, () => {
    const judged = storability({ personal: false, at: NOW }, status, [...DATE, ...fields(text)], NOW);
    assert.deepEqual(judged, { stored: false, reason: expected });
  });

void test("section 3.5: the answer to Authorization needs public, s-maxage or must-revalidate", () => {
  for (const [text, stored] of [
    ["max-age=60", false],
    ["max-age=60, public", true],
    ["s-maxage=60", true],
    ["max-age=60, must-revalidate", true],
    ["max-age=60, proxy-revalidate", false],
  ] as const)
    assert.equal(
      storability({ personal: true, at: NOW }, 200, [...DATE, "cache-control", text], NOW).stored,
      stored,
      text,
    );
});

void test("statuses that may be stored", () => {
  const may = Array.from({ length: 400 }, (_, index) => index + 200).filter(
    (status) =>
      storability({ personal: false, at: NOW }, status, [...DATE, "cache-control", "max-age=1"], NOW).stored,
  );
  assert.deepEqual(may, [200, 203, 204, 300, 301, 308, 404, 410]);
});

void test("HTML with a token or a nonce is a secret; what is no HTML is not looked into", () => {
  const html = ["content-type", "text/html; charset=utf-8"];
  const page = (text: string, list = html): string | null => secretIn(list, Buffer.from(text));
  assert.equal(page("<p>hello"), null);
  assert.equal(page("<p>the word nonce = once"), null);
  assert.equal(page("<input name=csrfmiddlewaretoken>"), "CSRF token");
  for (const tag of ["<script nonce=x>", '<link rel="a"\n NONCE = "x">', "<style media='a'nonce='x'>"])
    assert.equal(page(tag), "nonce", tag);
  assert.equal(page("<script nonce=x>", []), "nonce");
  assert.equal(page("<p>", [...html, "content-encoding", "gzip"]), "HTML in a coding");
  assert.equal(page("csrfmiddlewaretoken", ["content-type", "text/css"]), null);
});

void test("no Cache-Control whatever breaks the parser or makes a lifetime below zero", () => {
  const word = fc.constantFrom(
    "max-age",
    "s-maxage",
    "private",
    "=",
    '"',
    ",",
    "\\",
    " ",
    "1",
    "x",
    "-",
    ";",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 30 }), (words) => {
      const directives = directivesOf(["cache-control", words.join("")]);
      for (const name of ["max-age", "s-maxage"]) {
        const seconds = secondsOf(directives, name);
        assert.ok(seconds === undefined || (Number.isInteger(seconds) && seconds >= 0));
      }
    }),
  );
});
