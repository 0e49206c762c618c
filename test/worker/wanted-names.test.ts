/** Which handshakes may wait for a certificate on demand, and which are refused at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Configuration } from "../../src/config/configuration.ts";
import { UsedNames } from "../../src/worker/used-names.ts";
import { WantedNames } from "../../src/worker/wanted-names.ts";

interface Trial {
  readonly wanted: WantedNames;
  readonly asked: (readonly [string, string | null])[];
  /** Handshakes that have been told to look again. */
  readonly done: string[];
  readonly wait: (name: string, address?: string | null) => { readonly cancel: () => void } | null;
}

function trial(settings: { wait?: number; local?: boolean } | null = {}): Trial {
  const asked: (readonly [string, string | null])[] = [];
  const done: string[] = [];
  const wanted = new WantedNames((name, client) => void asked.push([name, client]));
  const { wait = 20_000, local = false } = settings ?? {};
  const onDemand = settings === null ? null : { ask: "/", limit: { requests: 1, per: 1000 }, wait, local };
  wanted.configure({ sites: [{ onDemand }] } as unknown as Configuration);
  return {
    wanted,
    asked,
    done,
    wait: (name, address = "192.0.2.1") => wanted.wait(name, address, () => void done.push(name)),
  };
}

void test("handshakes of one name wait for one answer", () => {
  const { wanted, asked, done, wait } = trial();
  for (let index = 0; index < 3; index += 1) assert.ok(wait("a.example.org", "2001:db8::1"));
  assert.equal(asked.length, 1);
  wanted.answered("a.example.org", 0);
  assert.deepEqual(done, ["a.example.org", "a.example.org", "a.example.org"]);
});

void test("a refused name is refused without a question for as long as the answer says", async () => {
  const { wanted, asked, wait } = trial();
  wait("a.example.org");
  wanted.answered("a.example.org", 30);
  assert.equal(wait("a.example.org"), null);
  assert.equal(asked.length, 1);
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.ok(wait("a.example.org"));
  assert.equal(asked.length, 2);
  wanted.answered("a.example.org", 0);
});

void test("what no certificate can be for is refused, and everything where there is no onDemand", () => {
  const names = [
    "localhost",
    "192.0.2.1",
    "2001:db8::1",
    "*.example.org",
    "a_b.example.org",
    "a.example.org.",
  ];
  const { asked, wait } = trial();
  for (const name of [...names, "printer.local", "x.test", "", "A.example.org"])
    assert.equal(wait(name), null, name);
  assert.deepEqual(asked, []);
  const local = trial({ local: true });
  assert.ok(local.wait("x.test"));
  local.wanted.answered("x.test", 0);
  assert.equal(trial(null).wait("a.example.org"), null);
});

void test("the wait ends, the question does not: the next client joins it", async () => {
  const { wanted, asked, done, wait } = trial({ wait: 20 });
  wait("a.example.org");
  while (done.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  wait("a.example.org");
  assert.deepEqual([asked.length, done.length], [1, 1]);
  wanted.answered("a.example.org", 0);
  assert.equal(done.length, 2);
});

void test("one client has so many handshakes that wait, IPv6 by its /64; who leaves makes room", () => {
  const { wanted, done, wait } = trial();
  const waiting = Array.from({ length: 32 }, (_, index) =>
    wait(`${index % 4}.example.org`, `2001:db8::${index}`),
  );
  assert.ok(waiting.every((one) => one !== null));
  assert.equal(wait("4.example.org", "2001:db8::ffff"), null);
  assert.ok(wait("4.example.org", "2001:db8:1::1"));
  waiting[0]?.cancel();
  waiting[0]?.cancel();
  assert.ok(wait("4.example.org", "2001:db8::ffff"));
  assert.equal(wait("5.example.org", "2001:db8::ffff"), null);
  for (let index = 0; index < 5; index += 1) wanted.answered(`${index}.example.org`, 0);
  assert.equal(done.length, 31 + 2);
});

void test("a worker asks about two hundred names at a time and holds five hundred handshakes", () => {
  const { wanted, asked, wait } = trial();
  for (let index = 0; index < 300; index += 1) wait(`${index}.example.org`, null);
  assert.equal(asked.length, 200);
  let joined = 0;
  for (let index = 0; index < 1000; index += 1) if (wait("0.example.org", null) !== null) joined += 1;
  assert.equal(joined, 300);
  assert.equal(asked[0]?.[1], null, "a proxy stands for many");
  for (const [name] of asked) wanted.answered(name, 0);
});

void test("a name in use is told once an hour", () => {
  const used = new UsedNames();
  used.note("a.example.org");
  used.note("a.example.org");
  assert.deepEqual(used.report(1), ["a.example.org"]);
  used.note("a.example.org");
  used.note("b.example.org");
  assert.deepEqual(used.report(2), ["b.example.org"]);
  assert.equal(used.report(3), null);
  assert.equal(used.report(3_600_100), null);
  used.note("a.example.org");
  assert.deepEqual(used.report(3_600_200), ["a.example.org"]);
});
