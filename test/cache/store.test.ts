import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keyMatcher } from "../../src/handlers/cache/cache-key.ts";
import { CacheStore } from "../../src/handlers/cache/store.ts";
import { selectingFields, StoredResponse } from "../../src/handlers/cache/stored-response.ts";

const DATE = "Wed, 25 Nov 2026 10:00:00 GMT";
const TERMS = {
  stored: true,
  forEverybody: false,
  vary: [],
  freshness: { lifetime: 60, initialAge: 0, whileRevalidating: 0, ifError: 0 },
} as const;

function response(key: string, bytes: number, selecting: readonly string[] = [], fields: string[] = []) {
  return new StoredResponse(
    key,
    { status: 200, fields: ["date", DATE, ...fields] },
    Buffer.alloc(bytes),
    TERMS,
    selecting,
    0,
  );
}

void test("never holds more than its memory, and what was used last stays", () => {
  const memory = 64 * 1024;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 12_000 })), {
        maxLength: 80,
      }),
      (steps) => {
        const store = new CacheStore(memory);
        for (const [name, bytes] of steps) {
          const added = response(`https a /${name}`, bytes);
          assert.equal(store.add(added), added.size <= memory / 8);
          assert.equal(store.find(added.key, []), added.size <= memory / 8 ? added : null);
          assert.ok(store.bytes <= memory);
        }
        store.removeWhere(() => true);
        assert.equal(store.bytes, 0);
      },
    ),
  );
});

void test("the one that was not asked for the longest goes first", () => {
  const store = new CacheStore(64 * 1024);
  const all = Array.from({ length: 10 }, (_, index) => response(`https a /${index}`, 6000));
  for (const one of all.slice(0, 9)) store.add(one);
  store.find("https a /0", []);
  store.add(all[9] as StoredResponse);
  assert.equal(store.find("https a /0", []), all[0]);
  assert.equal(store.find("https a /1", []), null);
});

void test("what a response grows by counts, and makes room, and goes with it", () => {
  const store = new CacheStore(64 * 1024);
  const all = Array.from({ length: 9 }, (_, index) => response(`https a /${index}`, 6000));
  for (const one of all) store.add(one);
  const [oldest, ...others] = all as [StoredResponse, ...StoredResponse[]];
  const newest = others.at(-1) as StoredResponse;
  assert.equal(store.grow(newest, 1000), true);
  assert.equal(store.grow(others[0] as StoredResponse, 1000), true);
  assert.ok(store.bytes <= 64 * 1024);
  assert.equal(store.find(oldest.key, []), null);
  assert.equal(store.grow(oldest, 1), false);
  assert.equal(store.grow(newest, store.largest), false);
  store.removeWhere(() => true);
  assert.equal(store.bytes, 0);
});

void test("section 4.1: a request selects by what the stored response's request had; variants are few", () => {
  const store = new CacheStore(1024 * 1024);
  const request = (language: string): string[] => ["accept-language", language];
  for (let index = 0; index < 40; index++)
    store.add(response("https a /", 10, selectingFields(["accept-language"], request(`l${index}`))));
  assert.equal(store.find("https a /", request("l0")), null);
  assert.notEqual(store.find("https a /", request("l39")), null);
  assert.equal(store.find("https a /", []), null);
  const kept = Array.from({ length: 40 }, (_, index) => store.find("https a /", request(`l${index}`)));
  assert.equal(kept.filter((one) => one !== null).length, 16);
  // Several lines of a field are one list (RFC 9110 section 5.3).
  assert.deepEqual(selectingFields(["a"], ["a", "1", "b", "x", "a", "2"]), ["a", "1, 2"]);
});

void test("section 3.2: a 304 changes the fields, but not what they say of the body", () => {
  const stored = response(
    "https a /",
    3,
    [],
    ["content-type", "text/plain", "etag", '"a"', "x-old", "1", "x-two", "a", "x-two", "b"],
  );
  assert.deepEqual(stored.refreshedFields(["content-type", "text/html", "x-two", "c", "x-new", "n"]), [
    "date",
    DATE,
    "content-type",
    "text/plain",
    "etag",
    '"a"',
    "x-old",
    "1",
    "x-two",
    "c",
    "x-new",
    "n",
  ]);
});

void test("section 4.3.4: a 304 with another tag is about another response", () => {
  const stored = response("https a /", 3, [], ["etag", 'W/"a"']);
  assert.ok(stored.isMeantBy([]));
  assert.ok(stored.isMeantBy(["etag", '"a"']));
  assert.ok(!stored.isMeantBy(["etag", '"b"']));
});

void test("what belongs to one response is not stored", () => {
  const fields = [
    "age",
    "5",
    "x-request-id",
    "x",
    "server-timing",
    "app;dur=1",
    "etag",
    '"a"',
    "x-accel-expires",
    "5",
  ];
  assert.deepEqual(response("k", 1, [], fields).fields, ["date", DATE, "etag", '"a"']);
  const dateless = new StoredResponse("k", { status: 200, fields: [] }, Buffer.alloc(1), TERMS, [], 0);
  assert.equal(dateless.fields[0], "date", "RFC 9110 section 6.6.1");
});

void test("purge: a path with any query, a whole target, a prefix", () => {
  const matches = (pattern: string, target: string): boolean =>
    keyMatcher(pattern)(`https a.test:8443 ${target}`);
  for (const [pattern, target, expected] of [
    ["/a", "/a", true],
    ["/a", "/a?b", true],
    ["/a", "/ab", false],
    ["/a?b", "/a?b", true],
    ["/a?b", "/a", false],
    ["/a*", "/ab?c", true],
    ["/a/*", "/a", false],
    ["*", "/", true],
    ["/a?b*", "/a?bc", true],
  ] as const)
    assert.equal(matches(pattern, target), expected, `${pattern} ${target}`);
});
