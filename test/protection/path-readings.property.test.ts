import assert from "node:assert/strict";
import { posix } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { isBelow, pathReadings as readingsOrNull } from "../../src/handlers/path-readings.ts";

const pathReadings = (target: string): readonly string[] => readingsOrNull(target) ?? assert.fail(target);
/** Decoded once, each byte a character. */
const decoded = (path: string): string =>
  path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
const trimmed = (path: string): string => path.replace(/(?<=.)\/+$/, "");

const piece = fc.constantFrom(
  ..."/ / / . .. a admin x %61 %2e %2E %2f %2F %5c \\ %25 %2 % ; ~ %00".split(" "),
);
const path = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`);

void test("a path without anything doubtful has one reading, itself", () => {
  for (const plain of ["/", "/a/b.c/..d/", "/Admin", "/a.", "*"])
    assert.deepEqual(pathReadings(plain), [plain]);
  assert.deepEqual(pathReadings("/a?x=/../%61"), ["/a"]);
});

void test("the first reading is Django's: decoded once, nothing resolved", () => {
  fc.assert(fc.property(path, (target) => assert.equal(pathReadings(target)[0], decoded(target))));
});

void test("what a browser's URL parser makes of a path is among the readings", () => {
  fc.assert(
    fc.property(path, (target) => {
      const parsed = decoded(new URL(`http://app.test${target}`).pathname);
      assert.ok(pathReadings(target).includes(parsed), `${target} → ${parsed}`);
    }),
    { numRuns: 3000 },
  );
});

void test("what normalising the decoded path gives is among the readings", () => {
  fc.assert(
    fc.property(path, (target) => {
      const normal = trimmed(posix.normalize(decoded(target)));
      assert.ok(pathReadings(target).map(trimmed).includes(normal), `${target} → ${normal}`);
    }),
    { numRuns: 3000 },
  );
});

void test("no disguise gets a path out of its prefix", () => {
  const encode = (text: string, which: readonly boolean[]): string =>
    text
      .split("")
      .map((c, i) =>
        which[i % which.length] === true ? `%${c.charCodeAt(0).toString(16).padStart(2, "0")}` : c,
      )
      .join("");
  const detour = fc.constantFrom(
    "/",
    "//",
    "/./",
    "/x/../",
    "/x//../",
    "/x/y/../../",
    "/%2e/",
    "/x/%2e%2E/",
    "\\",
  );
  const disguise = fc.tuple(detour, detour, fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }));
  fc.assert(
    fc.property(disguise, ([first, second, which]) => {
      const target = `${first === "\\" ? "/" : first}${encode("admin", which)}${second}users`;
      // A detour behind the prefix may lead to a neighbour, never out of it.
      assert.ok(
        pathReadings(target).some((reading) => isBelow(reading, "/admin/")),
        target,
      );
    }),
    { numRuns: 2000 },
  );
});

void test("a long path that is doubtful may be any; one that is merely encoded has one reading", () => {
  assert.equal(readingsOrNull(`/x/..${"/a".repeat(400)}`), null);
  assert.deepEqual(pathReadings(`/${"%C3%A9".repeat(400)}`), [`/${"\u00c3\u00a9".repeat(400)}`]);
});

void test("the attacks of the task, and what is none", () => {
  const hit = (target: string, prefix = "/admin/"): boolean =>
    pathReadings(target).some((reading) => isBelow(reading, prefix));
  for (const target of [
    "/%61dmin/",
    "//admin/",
    "/x/../admin/",
    "/admin%2f",
    "/admin",
    "/admin?x",
    "/x/%2e%2e/admin/",
    "/x%2f..%2fadmin/",
    "/x\\..\\admin\\",
    "//evil.example/admin/",
    "/admin/../public/",
    "/public/../admin/",
  ])
    assert.ok(hit(target), target);
  assert.ok(hit("/a/%2e%2e/../admin/", "/a/admin/"));
  assert.ok(hit("/foo%2fbar/../admin/"));
  for (const target of ["/", "/Admin/", "/administration/", "/x?/admin/", "/%2561dmin/", "/xadmin/"])
    assert.ok(!hit(target), target);
});
