/** Certificates on demand over weeks: what is renewed, what lapses, and what is left of it. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import { Permissions, type AppAnswer } from "../../src/certificates/on-demand/permission.ts";
import { PaddockError } from "../../src/errors.ts";
import { DAY, HOUR, MINUTE, setup, type Setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const NAME = "shop.example.org";

/** An app whose answers can be changed, and what it was asked. */
class App {
  readonly asked: string[] = [];
  answer: AppAnswer = "yes";
  hold: Promise<void> | null = null;

  readonly ask = async (name: string): Promise<AppAnswer> => {
    this.asked.push(name);
    await this.hold;
    return this.answer;
  };
}

async function configured(on: Setup, app: App, requests = 10): Promise<CertificateManager> {
  const manager = await on.open();
  const limit = { requests, per: HOUR };
  const permissions = new Permissions(app.ask, on.clock);
  await manager.configure([], { issuers: [on.issuer], limit, permissions });
  return manager;
}

const want = (manager: CertificateManager, name = NAME): Promise<{ served: boolean; holds: number }> =>
  manager.onDemand.want(name, () => true);

const pass = (on: Setup, manager: CertificateManager, delay: number): Promise<void> =>
  on.clock.advance(delay, () => manager.settled());

/** Files of the storage that belong to the name. */
function filesOf(on: Setup, name = NAME): string[] {
  return readdirSync(on.storage, { recursive: true, encoding: "utf8" }).filter((file) => file.includes(name));
}

const namesKept = (on: Setup): string[] =>
  Object.keys(
    (JSON.parse(readFileSync(join(on.storage, "on-demand.json"), "utf8")) as { names: object }).names,
  );

const lastServed = (on: Setup): (readonly string[])[] => on.served.at(-1)?.map(({ names }) => names) ?? [];

void test("a name that the app knows is ordered once, however many ask", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  const answers = await Promise.all(Array.from({ length: 20 }, () => want(manager)));
  assert.ok(answers.every(({ served }) => served));
  assert.deepEqual([app.asked, on.issuer.requests.length], [[NAME], 1]);
  assert.deepEqual(lastServed(on), [[NAME]]);
  assert.deepEqual(on.attempts, [{ name: "on-demand", issuer: "first", outcome: "success" }]);
  assert.deepEqual(await want(manager), { served: true, holds: 0 });
  assert.equal(app.asked.length, 1);
});

void test("a name that the app does not know leaves nothing behind, and is asked for again after a minute", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  app.answer = "no";
  const manager = await configured(on, app);
  assert.deepEqual(await want(manager), { served: false, holds: MINUTE });
  await pass(on, manager, MINUTE - 1);
  assert.deepEqual(await want(manager), { served: false, holds: 1 });
  assert.deepEqual([app.asked.length, on.issuer.requests.length, on.served], [1, 0, []]);
  assert.deepEqual([filesOf(on), manager.status()], [[], []]);
  await pass(on, manager, 1);
  app.answer = "yes";
  assert.equal((await want(manager)).served, true);
});

void test("it is renewed by itself while the name is used and the app says yes", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  await want(manager);
  for (let day = 0; day < 60; day += 1) {
    manager.onDemand.used([NAME]);
    await pass(on, manager, DAY);
    assert.equal(manager.status()[0]?.serving, "stored");
  }
  // Seven days each, renewed with half of it left.
  assert.ok(on.issuer.requests.length >= 15 && on.issuer.requests.length <= 18);
  assert.equal(app.asked.length, on.issuer.requests.length);
});

void test("when the app says no at the renewal it is served to its end, and then nothing is left of it", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  await want(manager);
  await manager.journals.written();
  assert.equal(filesOf(on).length, 2);
  app.answer = "no";
  manager.onDemand.used([NAME]);
  await pass(on, manager, 6 * DAY);
  assert.deepEqual([lastServed(on), manager.status()[0]?.onDemand], [[[NAME]], "lapsing"]);
  assert.ok(app.asked.length > 1);
  await assert.rejects(manager.renewNow(NAME), (error) => {
    assert.ok(error instanceof PaddockError);
    assert.equal(error.code, "certificate.not-wanted");
    return true;
  });
  const { entries } = await manager.journals.read([NAME]);
  assert.ok(entries.every(({ kind }) => kind !== "attempt-failed" && kind !== "ending"));
  await pass(on, manager, DAY);
  assert.equal(on.issuer.requests.length, 1);
  assert.deepEqual([lastServed(on), manager.status(), namesKept(on), filesOf(on)], [[], [], [], []]);
});

void test("the app may change its mind as long as the certificate is good", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  await want(manager);
  app.answer = "no";
  await pass(on, manager, 5 * DAY);
  assert.equal(on.issuer.requests.length, 1);
  app.answer = "yes";
  await pass(on, manager, DAY);
  assert.deepEqual([on.issuer.requests.length, manager.status()[0]?.onDemand], [2, "kept"]);
});

void test("an app that gives no answer at the renewal is asked again soon", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  await want(manager);
  app.answer = "unknown";
  const due = (manager.status()[0]?.nextAttempt ?? 0) - on.clock.now();
  await pass(on, manager, due);
  assert.deepEqual([on.issuer.requests.length, app.asked.length], [1, 2]);
  app.answer = "yes";
  await pass(on, manager, 10 * MINUTE);
  assert.deepEqual([on.issuer.requests.length, app.asked.length], [2, 3]);
});

void test("what nobody has used for thirty days lapses without the app being asked", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  await want(manager);
  await pass(on, manager, 29 * DAY);
  assert.equal(manager.status()[0]?.onDemand, "kept");
  const asked = app.asked.length;
  await pass(on, manager, 9 * DAY);
  assert.deepEqual([app.asked.length, manager.status(), filesOf(on)], [asked, [], []]);
  assert.equal((await want(manager)).served, true);
});

void test("a first order that fails is repeated while clients come, and given up an hour after the last", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  on.issuer.behave = async () => await Promise.reject(new Error("points elsewhere"));
  const { served, holds } = await want(manager);
  assert.deepEqual([served, holds > 0 && holds <= MINUTE], [false, true]);
  assert.equal((await want(manager)).served, false);
  assert.equal(on.issuer.requests.length, 1);
  await pass(on, manager, 30 * MINUTE);
  const orders = on.issuer.requests.length;
  assert.ok(orders > 1);
  const { entries, episode } = await manager.journals.read([NAME]);
  assert.ok(entries.some(({ kind }) => kind === "order-failed"));
  assert.equal(episode?.failures ?? 0, 0, "nobody is told");
  await pass(on, manager, 4 * HOUR);
  assert.deepEqual([manager.status(), filesOf(on), namesKept(on)], [[], [], []]);
  on.issuer.behave = async () => {};
  assert.equal((await want(manager)).served, true);
});

void test("the limit is for new names, holds over a restart and ends with its time", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const first = await configured(on, app, 2);
  assert.equal((await want(first, "a.example.org")).served, true);
  await pass(on, first, 20 * MINUTE);
  assert.equal((await want(first, "b.example.org")).served, true);
  assert.deepEqual(await want(first, "c.example.org"), { served: false, holds: MINUTE });
  assert.equal((await want(first, "a.example.org")).served, true);
  const second = await configured(on, app, 2);
  assert.equal((await want(second, "c.example.org")).served, false);
  assert.match(on.log.text(), /no certificate for c\.example\.org: onDemand\.limit has been reached/);
  await pass(on, second, 40 * MINUTE);
  assert.equal((await want(second, "c.example.org")).served, true);
  assert.equal((await want(second, "d.example.org")).served, false);
});

void test("after a restart the workers get it when it is first asked for, and nobody else is asked", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  await want(await configured(on, app));
  const manager = await configured(on, app);
  await manager.settled();
  on.served.length = 0;
  assert.equal(manager.status()[0]?.state, "valid");
  assert.deepEqual(manager.served(), []);
  assert.equal((await want(manager)).served, true);
  assert.deepEqual(lastServed(on), [[NAME]]);
  assert.deepEqual([app.asked.length, on.issuer.requests.length], [1, 1]);
});

void test("an order that a restart interrupted is made by the next start", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const first = await configured(on, app);
  on.issuer.behave = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const answer = want(first);
  while (on.issuer.requests.length === 0) await new Promise(setImmediate);
  on.issuer.behave = async () => {};
  const second = await configured(on, app);
  assert.equal((await answer).served, false);
  await pass(on, second, 0);
  assert.deepEqual([on.issuer.requests.length, second.status()[0]?.state], [2, "valid"]);
});

void test("a handshake's order does not stand behind the renewals of a slow CA", async () => {
  await using on = await setup(new HeldClock());
  const manager = await on.open();
  const held = Promise.withResolvers<void>();
  on.issuer.behave = async ({ names }) => {
    if (names[0] !== NAME) await held.promise;
  };
  const sites = Array.from({ length: 6 }, (_, index) => ({
    names: [`site-${index}.example.org`],
    choice: { kind: "auto" } as const,
    issuers: [on.issuer],
  }));
  const permissions = new Permissions(new App().ask, on.clock);
  await manager.configure(sites, {
    issuers: [on.issuer],
    limit: { requests: 1, per: HOUR },
    permissions,
  });
  await on.clock.advance(0, async () => {});
  while (on.issuer.requests.length < 4) await new Promise(setImmediate);
  assert.equal((await want(manager)).served, true);
  assert.equal(on.issuer.requests.length, 5, "two sites wait for one of four");
  held.resolve();
  await manager.settled();
  assert.equal(on.issuer.requests.length, 7);
});

void test("a name that a site has now is not one on demand", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  const manager = await configured(on, app);
  await want(manager);
  const site = { names: [NAME], choice: { kind: "auto" } as const, issuers: [on.issuer] };
  const terms = {
    issuers: [on.issuer] as const,
    limit: { requests: 1, per: HOUR },
    permissions: new Permissions(app.ask, on.clock),
  };
  await manager.configure([site], terms);
  await manager.settled();
  assert.equal(on.issuer.requests.length, 1, "what is stored is the site's");
  assert.deepEqual(
    manager.status().map(({ name, onDemand }) => [name, onDemand]),
    [[NAME, undefined]],
  );
  assert.deepEqual([namesKept(on), (await want(manager)).served], [[], false]);
});

void test("a damaged list of names is set aside, and the names are asked for again", async () => {
  await using on = await setup(new HeldClock());
  const app = new App();
  await want(await configured(on, app));
  writeFileSync(join(on.storage, "on-demand.json"), "{");
  const manager = await configured(on, app);
  assert.deepEqual(manager.status(), []);
  assert.match(on.log.text(), /on-demand\.json is damaged/);
  assert.equal((await want(manager)).served, true);
  assert.deepEqual([app.asked.length, on.issuer.requests.length], [2, 1], "the certificate itself was there");
});

void test("questions about made-up names have a rate, all together, which renewals do not share", async () => {
  const clock = new HeldClock();
  const app = new App();
  app.answer = "no";
  const permissions = new Permissions(app.ask, clock);
  const ask = async (from: number, count: number): Promise<void> => {
    for (let index = from; index < from + count; index += 1)
      await permissions.of(`${index}.example.org`, true);
  };
  await ask(0, 500);
  const burst = app.asked.length;
  assert.ok(burst >= 50 && burst <= 52, `${burst}`);
  await permissions.of("renewal.example.org", false);
  assert.equal(app.asked.length, burst + 1);
  await clock.advance(1000, async () => {});
  await ask(500, 500);
  assert.equal(app.asked.length, burst + 1 + 10);
});

void test("the app gets four questions at a time", async () => {
  const app = new App();
  const held = Promise.withResolvers<void>();
  app.hold = held.promise;
  const permissions = new Permissions(app.ask, new HeldClock());
  const answers = Array.from({ length: 10 }, (_, index) => permissions.of(`${index}.example.org`, true));
  await new Promise(setImmediate);
  assert.equal(app.asked.length, 4);
  held.resolve();
  assert.ok((await Promise.all(answers)).every(({ answer }) => answer === "yes"));
  assert.equal(app.asked.length, 10);
});
