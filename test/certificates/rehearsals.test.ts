/** When orders are rehearsed, what follows from it, and who hears of it; time is held, the CAs are fakes. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import type { JournalEntry, NoticeReason } from "../../src/certificates/journal-event.ts";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import { PaddockError } from "../../src/errors.ts";
import { OrderQueue } from "../../src/certificates/order-queue.ts";
import { RehearsalRecords } from "../../src/certificates/rehearsal-records.ts";
import { Rehearsals, type CertificateSubject } from "../../src/certificates/rehearsals.ts";
import { dueRehearsal } from "../../src/certificates/rehearsal-schedule.ts";
import { DAY, HOUR, MINUTE, setup, type FakeIssuer, type Setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const NAMES = ["shop.example.org", "www.shop.example.org"];
const WEEK = 7 * DAY;

/** Of the site's own making: it fails until somebody mends it. */
class Unproven extends PaddockError {
  readonly unproven = true;
}
const closed = async (): Promise<void> => {
  throw new Unproven("acme.connection", "shop.example.org, http-01: Timeout during connect", {
    fix: "Open port 80 in the firewall.",
  });
};
const down = async (): Promise<void> => {
  throw new PaddockError("acme.unreachable", "cannot talk to the CA");
};
const well = async (): Promise<void> => undefined;

/** A CA "first" whose staging directory is "second". */
async function staged(): Promise<Setup> {
  const world = await setup(new HeldClock());
  world.issuer.staging = world.second;
  return world;
}

async function configure(manager: CertificateManager, ...issuers: FakeIssuer[]): Promise<void> {
  await manager.configure([{ names: NAMES, choice: { kind: "auto" }, issuers }]);
}

const pass = async (world: Setup, manager: CertificateManager, time: number): Promise<void> =>
  await world.clock.advance(time, () => manager.settled());

const asked = ({ issuer, second }: Setup): readonly [number, number] => [
  issuer.requests.length,
  second.requests.length,
];

async function rehearsalsIn(
  manager: CertificateManager,
): Promise<Extract<JournalEntry, { kind: "rehearsal" }>[]> {
  const { entries } = await manager.journals.read(NAMES);
  return entries.filter((entry) => entry.kind === "rehearsal");
}

void describe("after an order that failed by the site's fault", () => {
  void it("the next tries go to the staging directory until one passes, and the order follows at once", async () => {
    await using world = await staged();
    world.issuer.behave = closed;
    world.second.behave = closed;
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 0);
    assert.deepEqual(asked(world), [1, 0], "the first try is at the CA itself");
    await pass(world, manager, DAY);
    assert.deepEqual(asked(world), [1, 3], "after 1, 10 and 100 minutes");
    const [status] = manager.status();
    assert.equal(status?.failures, 4);
    assert.match(
      status.lastError?.message ?? "",
      /^first: the rehearsal at second failed: .*Timeout during connect\. Open port 80 in the firewall\. first itself is asked once a rehearsal passes/,
    );
    assert.match(
      world.log.text(),
      /no new certificate for shop\.example\.org.* the rehearsal at second failed/,
    );
    assert.deepEqual(
      world.attempts.map(({ issuer, outcome }) => `${issuer} ${outcome}`),
      ["first failure", "second failure", "second failure", "second failure"],
    );
    world.issuer.behave = well;
    world.second.behave = well;
    await pass(world, manager, 2 * DAY);
    assert.deepEqual(asked(world), [2, 4]);
    assert.equal(manager.status()[0]?.state, "valid");
    assert.equal(manager.status()[0]?.issuer, "first");
    assert.match(world.log.text(), /the rehearsal at second passed; first is asked for a certificate/);
    const entries = await rehearsalsIn(manager);
    assert.deepEqual(
      entries.map(({ outcome, occasion }) => `${outcome} ${occasion}`),
      [...Array.from({ length: 3 }, () => "failed failure"), "passed failure"],
    );
    assert.deepEqual(
      await readdir(join(world.storage, "certificates")),
      ["first"],
      "what staging gave is thrown away",
    );
  });

  void it("a restart does not forget it", async () => {
    await using world = await staged();
    world.issuer.behave = closed;
    world.second.behave = closed;
    for (let start = 0; start < 4; start++) {
      const manager = await world.open();
      await configure(manager, world.issuer);
      await pass(world, manager, 0);
    }
    assert.deepEqual(asked(world), [1, 3]);
  });

  void it("a CA that is away or busy is not rehearsed, and a staging directory that is away is in nobody's way", async () => {
    await using world = await staged();
    world.issuer.behave = down;
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 20 * MINUTE);
    assert.deepEqual(asked(world), [3, 0]);
    world.issuer.behave = closed;
    await pass(world, manager, 2 * HOUR);
    assert.deepEqual(asked(world), [4, 0]);
    world.second.behave = down;
    world.issuer.behave = well;
    await pass(world, manager, 2 * DAY);
    assert.deepEqual(asked(world), [5, 1]);
    assert.equal(manager.status()[0]?.state, "valid");
    assert.match(
      world.log.text(),
      /no rehearsal at second, which says nothing about the site: cannot talk to the CA/,
    );
  });

  void it("the operator's wish goes straight to the CA, once", async () => {
    await using world = await staged();
    world.issuer.behave = closed;
    world.second.behave = closed;
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 0);
    await assert.rejects(manager.renewNow("shop.example.org"), /Timeout during connect/);
    assert.deepEqual(asked(world), [2, 0]);
    await pass(world, manager, DAY);
    assert.deepEqual(asked(world), [2, 2]);
    world.issuer.behave = well;
    await manager.renewNow("shop.example.org");
    assert.deepEqual(asked(world), [3, 2]);
    assert.equal(manager.status()[0]?.state, "valid");
  });

  void it("a CA without a staging directory is asked again, as ever", async () => {
    await using world = await setup(new HeldClock());
    world.issuer.behave = closed;
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 20 * MINUTE);
    assert.deepEqual(asked(world), [3, 0]);
  });
});

void describe("a rehearsal by hand", () => {
  void it("goes the whole way, tells how each name was proven, and changes nothing that is served or stored", async () => {
    await using world = await staged();
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 0);
    const [before] = manager.status();
    const served = world.served.length;
    world.second.behave = async ({ names, observe }) => {
      for (const name of names)
        observe?.({ kind: "challenge", name, challenge: "http-01", outcome: "valid", error: null });
    };
    const subject = manager.subjectOf("www.shop.example.org");
    assert.ok(subject);
    const { outcome, issuer, proofs } = await manager.rehearsals.now(subject);
    assert.deepEqual([outcome, issuer], ["passed", "second"]);
    assert.deepEqual(
      proofs.map(({ name, challenge, proven }) => [name, challenge, proven]),
      NAMES.map((name) => [name, "http-01", true]),
    );
    const { rehearsal, ...after } = manager.status()[0] ?? {};
    assert.equal(rehearsal?.outcome, "passed");
    assert.deepEqual({ ...after, rehearsal: null }, before);
    assert.equal(world.served.length, served);
    assert.deepEqual(await readdir(join(world.storage, "certificates")), ["first"]);
  });

  void it("refuses a certificate that lacks a name, as an order would", async () => {
    await using world = await staged();
    const manager = await world.open();
    await configure(manager, world.issuer);
    world.second.certifies = ["shop.example.org"];
    const subject = manager.subjectOf("shop.example.org");
    assert.ok(subject);
    const { outcome, error } = await manager.rehearsals.now(subject);
    assert.equal(outcome, "unavailable");
    assert.match(error ?? "", /it lacks www\.shop\.example\.org/);
  });

  void it("waits for an order for the same names to end", async () => {
    await using world = await staged();
    const manager = await world.open();
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    world.issuer.behave = async () => {
      begun.resolve();
      await gate.promise;
    };
    await configure(manager, world.issuer);
    const passed = pass(world, manager, 0);
    await begun.promise;
    const subject = manager.subjectOf("shop.example.org");
    assert.ok(subject);
    const rehearsal = manager.rehearsals.now(subject);
    assert.deepEqual(asked(world), [1, 0]);
    gate.resolve();
    assert.equal((await rehearsal).outcome, "passed");
    await passed;
    assert.deepEqual(asked(world), [1, 1]);
  });

  void it("is ended by a shutdown", async () => {
    await using world = await staged();
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 0);
    const begun = Promise.withResolvers<void>();
    world.second.behave = async ({ signal }) => {
      begun.resolve();
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    };
    const subject = manager.subjectOf("shop.example.org");
    assert.ok(subject);
    const rehearsal = manager.rehearsals.now(subject);
    await begun.promise;
    const ended = assert.rejects(rehearsal, { code: "certificate.rehearsal-ended" });
    await manager.close();
    await ended;
  });
});

void describe("by itself", () => {
  void it("a change of the configuration is rehearsed within minutes, and a start or a reload without one is not", async () => {
    await using world = await staged();
    const manager = await world.open();
    await configure(manager, world.issuer);
    manager.rehearsals.configure(WEEK, "as it was");
    await pass(world, manager, HOUR);
    manager.rehearsals.configure(WEEK, "as it was");
    await pass(world, manager, HOUR);
    assert.deepEqual(asked(world), [1, 0]);
    manager.rehearsals.configure(WEEK, "another listener");
    await pass(world, manager, 30_000);
    assert.deepEqual(asked(world), [1, 0], "one change often follows another");
    await pass(world, manager, 5 * MINUTE);
    assert.deepEqual(asked(world), [1, 1]);
    assert.equal((await rehearsalsIn(manager))[0]?.occasion, "configuration");
    const again = await world.open();
    await configure(again, world.issuer);
    again.rehearsals.configure(WEEK, "another listener");
    await pass(world, again, HOUR);
    assert.deepEqual(asked(world), [1, 1]);
    const changed = await world.open();
    await configure(changed, world.issuer);
    changed.rehearsals.configure(WEEK, "changed while it was down");
    await pass(world, changed, HOUR);
    assert.deepEqual(asked(world), [1, 2]);
  });

  void it("false turns it off, and a certificate that is not there yet, or is about to be renewed, has its order for it", async () => {
    await using world = await staged();
    world.issuer.behave = down;
    const manager = await world.open();
    await configure(manager, world.issuer);
    manager.rehearsals.configure(WEEK, "a");
    manager.rehearsals.configure(WEEK, "b");
    await pass(world, manager, HOUR);
    assert.equal(world.second.requests.length, 0, "nothing is stored");
    world.issuer.behave = well;
    await manager.renewNow("shop.example.org");
    // A life of seven days, so the renewal is after three and a half.
    await pass(world, manager, 3 * DAY);
    manager.rehearsals.configure(WEEK, "c");
    await pass(world, manager, HOUR);
    assert.equal(world.second.requests.length, 0, "the renewal is near");
    await pass(world, manager, DAY);
    manager.rehearsals.configure(null, "d");
    await pass(world, manager, DAY);
    assert.equal(world.second.requests.length, 0, "off");
    manager.rehearsals.configure(WEEK, "e");
    await pass(world, manager, HOUR);
    assert.equal(world.second.requests.length, 1);
  });

  void it("a failure is a warning, is in the status, is told once, and its end too", async () => {
    await using world = await staged();
    const manager = await world.open();
    const told: NoticeReason[] = [];
    manager.journals.notifier = {
      notify: async ({ reason, begin, took }) => {
        told.push(reason);
        await begin();
        took({ channel: "webhook", error: null });
      },
    };
    await configure(manager, world.issuer);
    manager.rehearsals.configure(WEEK, "a");
    await pass(world, manager, HOUR);
    world.second.behave = closed;
    manager.rehearsals.configure(WEEK, "b");
    await pass(world, manager, HOUR);
    await manager.journals.written();
    const warning = world.log.lines.find(({ msg }) => String(msg).startsWith("the rehearsal at second"));
    assert.equal(warning?.["level"], 40);
    assert.match(
      String(warning["msg"]),
      /failed: .*Open port 80.* What is served is valid until .*; the next order, at .*, would fail in the same way\./,
    );
    assert.equal(manager.status()[0]?.rehearsal?.outcome, "failed");
    assert.equal(manager.status()[0]?.state, "valid");
    await pass(world, manager, DAY);
    assert.equal(world.second.requests.length, 2, "again after a day");
    assert.deepEqual(told, ["rehearsal-failed"]);
    world.second.behave = well;
    await pass(world, manager, DAY);
    await manager.journals.written();
    assert.deepEqual(told, ["rehearsal-failed", "rehearsal-recovered"]);
    assert.equal(manager.status()[0]?.rehearsal?.outcome, "passed");
  });

  void it("where orders fail, they are the news, and not the rehearsals between them", async () => {
    await using world = await staged();
    const manager = await world.open();
    const told: NoticeReason[] = [];
    manager.journals.notifier = {
      notify: async ({ reason, begin, took }) => {
        told.push(reason);
        await begin();
        took({ channel: "webhook", error: null });
      },
    };
    world.issuer.behave = closed;
    world.second.behave = closed;
    await configure(manager, world.issuer);
    await pass(world, manager, DAY);
    world.issuer.behave = well;
    world.second.behave = well;
    await pass(world, manager, 2 * DAY);
    await manager.journals.written();
    assert.deepEqual(told, ["failing", "failing-repeatedly", "recovered"]);
  });

  void it("of very many certificates 200 a day, one after the other, and each of them has its turn", async () => {
    await using world = await staged();
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 0);
    const { clock, storage } = world;
    const log = world.log.log;
    const known = manager.subjectOf("shop.example.org");
    assert.ok(known?.stored);
    const [end, stored] = [clock.now() + 90 * DAY, known.stored];
    const subjects: CertificateSubject[] = Array.from({ length: 230 }, (_, index) => ({
      names: [`shop-${index}.example.org`],
      issuers: known.issuers,
      stored: { ...stored, notAfter: end },
      nextAttempt: end - 30 * DAY,
    }));
    const rehearsals = new Rehearsals({
      clock,
      log,
      random: () => 0,
      onAttempt: () => undefined,
      journals: { of: () => ({ record: () => undefined }) },
      queue: new OrderQueue(),
      rehearsals: await RehearsalRecords.open({
        storage,
        log,
        damaged: new DamagedFiles({ storage, clock, log }),
      }),
      subjects: () => subjects,
    });
    world.second.behave = closed;
    rehearsals.configure(WEEK, "a");
    clock.jump(1);
    rehearsals.configure(WEEK, "b");
    await clock.advance(12 * HOUR, () => rehearsals.settled());
    assert.equal(world.second.requests.length, 200);
    assert.equal(world.second.mostRunning, 1);
    await clock.advance(14 * HOUR, () => rehearsals.settled());
    const names = new Set(world.second.requests.map((request) => request.names[0]));
    assert.equal(names.size, 230);
    await rehearsals.close();
  });

  void it("a damaged record is set aside, and one that cannot be written stops nothing", async () => {
    await using world = await staged();
    const path = join(world.storage, "rehearsals.json");
    await mkdir(world.storage, { recursive: true });
    await writeFile(path, "{ half");
    const manager = await world.open();
    await configure(manager, world.issuer);
    await pass(world, manager, 0);
    assert.equal((await readdir(join(world.storage, "damaged"))).length, 1);
    await mkdir(path);
    const subject = manager.subjectOf("shop.example.org");
    assert.ok(subject);
    assert.equal((await manager.rehearsals.now(subject)).outcome, "passed");
    await manager.settled();
    assert.equal(world.log.text().match(/rehearsals are not noted/g)?.length, 1);
  });

  void it("what is kept is readable for its owner alone and holds no secret", async () => {
    await using world = await staged();
    const manager = await world.open();
    await configure(manager, world.issuer);
    const subject = manager.subjectOf("shop.example.org");
    assert.ok(subject);
    await manager.rehearsals.now(subject);
    await manager.settled();
    const text = await readFile(join(world.storage, "rehearsals.json"), "utf8");
    assert.match(text, /"outcome":"passed"/);
    assert.doesNotMatch(text, /PRIVATE KEY/);
  });
});

void describe("the schedule", () => {
  const now = Date.UTC(2026, 2, 1);
  const NEVER = { last: null, triedAt: null, suspect: [] };
  const QUIET = { digest: "a", changedAt: null };
  const wanted = { names: NAMES, issuedAt: now - 2 * DAY, nextAttempt: now + 28 * DAY };
  const at = (time: number, outcome: "passed" | "failed" = "passed") => ({
    last: { at: time, issuer: "staging", outcome, error: null },
    triedAt: time,
    suspect: [],
  });
  const within = (due: number | undefined, low: number, high: number): void =>
    assert.ok(due !== undefined && due >= low && due <= high, `${((due ?? NaN) - now) / DAY} days`);

  void it("is a week after the order or the rehearsal that passed, give or take a tenth by certificate", () => {
    const due = dueRehearsal(wanted, NEVER, QUIET, { interval: WEEK, now });
    within(due?.at, wanted.issuedAt + 0.9 * WEEK, wanted.issuedAt + 1.1 * WEEK);
    assert.equal(due?.occasion, "schedule");
    const next = dueRehearsal(wanted, at(now - DAY), QUIET, { interval: WEEK, now });
    within(next?.at, now - DAY + 0.9 * WEEK, now - DAY + 1.1 * WEEK);
    const times = Array.from({ length: 50 }, (_, index) =>
      dueRehearsal({ ...wanted, names: [`${index}.example.org`] }, NEVER, QUIET, { interval: WEEK, now }),
    );
    assert.ok(new Set(times.map((time) => time?.at)).size > 40, "spread");
  });

  void it("is a day after one that failed, and six hours after one that came to nothing", () => {
    assert.equal(dueRehearsal(wanted, at(now, "failed"), QUIET, { interval: WEEK, now })?.at, now + DAY);
    const away = { ...at(now - 2 * WEEK), triedAt: now };
    const old = { ...wanted, issuedAt: now - 3 * WEEK };
    assert.equal(dueRehearsal(old, away, QUIET, { interval: WEEK, now })?.at, now + 6 * HOUR);
  });

  void it("goes by an order that succeeded after the change or after the failure", () => {
    const renewed = { ...wanted, issuedAt: now };
    const changed = { digest: "b", changedAt: now - HOUR };
    within(
      dueRehearsal(renewed, at(now - DAY, "failed"), changed, { interval: WEEK, now })?.at,
      now + 6 * DAY,
      now + 8 * DAY,
    );
    assert.equal(dueRehearsal(wanted, NEVER, changed, { interval: WEEK, now })?.occasion, "configuration");
  });

  void it("is none where the renewal comes before it", () => {
    const near = { ...wanted, nextAttempt: now + DAY / 2 };
    assert.equal(dueRehearsal(near, NEVER, QUIET, { interval: WEEK, now }), null);
    const shortlived = { ...wanted, issuedAt: now, nextAttempt: now + 80 * HOUR };
    assert.equal(dueRehearsal(shortlived, NEVER, QUIET, { interval: WEEK, now }), null);
  });

  void it("does not wait for a time that a clock which was wrong has left behind", () => {
    const ahead = at(now + 365 * DAY);
    const due = dueRehearsal(
      wanted,
      ahead,
      { digest: "a", changedAt: now + 365 * DAY },
      { interval: WEEK, now },
    );
    within(due?.at, wanted.issuedAt + 0.9 * WEEK, wanted.issuedAt + 1.1 * WEEK);
  });
});
