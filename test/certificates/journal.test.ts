/** The flight recorder: what is taken down, and that neither a kill, damage nor a full disk costs more than an entry. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import {
  emptyJournal,
  formatJournal,
  parseJournal,
  withEntry,
} from "../../src/certificates/journal-document.ts";
import type { JournalEntry } from "../../src/certificates/journal-event.ts";
import { journalSentence } from "../../src/certificates/journal-sentences.ts";
import { JournalStore } from "../../src/certificates/journal-store.ts";
import { journalText } from "../../src/certificates/journal-text.ts";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import { systemClock } from "../../src/clock.ts";
import { DAY, HOUR, listeningLogger, MINUTE, setup, temporaryFolder, type Setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const NAMES = ["example.org", "www.example.org"];
const TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const THUMBPRINT = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

async function configure(manager: CertificateManager, { issuer }: Setup): Promise<void> {
  await manager.configure([{ names: NAMES, choice: { kind: "auto" }, issuers: [issuer] }]);
}

async function entriesOf(manager: CertificateManager): Promise<readonly JournalEntry[]> {
  return (await manager.journals.read(NAMES)).entries;
}

const kinds = (entries: readonly JournalEntry[]): string[] => entries.map(({ kind }) => kind);

void describe("the journal of a certificate", () => {
  void it("tells an order from its beginning to what is served and when it goes on", async () => {
    await using world = await setup(new HeldClock());
    world.issuer.behave = async ({ observe }) => {
      observe?.({ kind: "order-created", url: "https://ca.example/order/7" });
      observe?.({
        kind: "challenge",
        name: "example.org",
        challenge: "http-01",
        outcome: "valid",
        error: null,
      });
      observe?.({
        kind: "challenge",
        name: "www.example.org",
        challenge: null,
        outcome: "reused",
        error: null,
      });
    };
    const manager = await world.open();
    await configure(manager, world);
    await world.clock.advance(0, () => manager.settled());
    const journal = await manager.journals.read(["www.example.org", "example.org"]);
    assert.deepEqual(kinds(journal.entries), [
      "served",
      "order-begun",
      "order-created",
      "challenge",
      "challenge",
      "order-finished",
      "next-attempt",
      "served",
    ]);
    const [before] = journal.entries;
    assert.ok(before?.kind === "served" && before.certificates[0]?.origin === "temporary");
    const stored = manager.status()[0];
    assert.deepEqual(journal.served?.certificates, [
      { names: NAMES, fingerprint: stored?.fingerprint, issuer: "first", origin: "stored" },
    ]);
    const next = journal.entries.find(({ kind }) => kind === "next-attempt");
    assert.ok(next?.kind === "next-attempt" && next.due === stored?.nextAttempt);
    assert.equal(next.why, "renewal by its lifetime");
    const path = join(world.storage, "journal", (await readdir(join(world.storage, "journal")))[0] ?? "");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  void it("keeps the CA's problem document and says it in a sentence, without token and key authorization", async () => {
    await using world = await setup(new HeldClock());
    const problem = new AcmeProblem({
      type: "urn:ietf:params:acme:error:unauthorized",
      detail: `Invalid response from http://www.example.org/.well-known/acme-challenge/${TOKEN}: expected "${TOKEN}.${THUMBPRINT}"\u001b[2J`,
      status: 403,
      subproblems: [
        { type: "urn:ietf:params:acme:error:dns", detail: "no AAAA record", identifier: "www.example.org" },
      ],
      retryAfter: null,
    });
    world.issuer.behave = async ({ observe }) => {
      observe?.({
        kind: "challenge",
        name: "www.example.org",
        challenge: "http-01",
        outcome: "failed",
        error: problem,
      });
      throw problem;
    };
    const manager = await world.open();
    await configure(manager, world);
    await world.clock.advance(0, () => manager.settled());
    const entries = await entriesOf(manager);
    const failed = entries.find(({ kind }) => kind === "order-failed");
    assert.ok(failed?.kind === "order-failed");
    assert.equal(failed.problem?.type, "urn:ietf:params:acme:error:unauthorized");
    assert.equal(failed.problem.subproblems[0]?.identifier, "www.example.org");
    const challenge = entries.find(({ kind }) => kind === "challenge");
    assert.ok(challenge !== undefined);
    assert.match(
      journalSentence(challenge),
      /www\.example\.org not proven by http-01: .*no AAAA record \[unauthorized\]/,
    );
    const [file] = await readdir(join(world.storage, "journal"));
    const text = await readFile(join(world.storage, "journal", file ?? ""), "utf8");
    for (const secret of [TOKEN, THUMBPRINT, "PRIVATE KEY", "\u001b", "\\u001b"])
      assert.equal(text.includes(secret), false, secret);
  });

  void it("takes down the CA's window once, and not each time that it is asked", async () => {
    await using world = await setup(new HeldClock());
    const now = world.clock.now();
    world.issuer.window = async () => ({
      start: now + 2 * DAY,
      end: now + 3 * DAY,
      explanationUrl: "https://ca.example/why",
      retryAfter: HOUR,
    });
    const manager = await world.open();
    await configure(manager, world);
    await world.clock.advance(DAY, () => manager.settled());
    assert.ok(world.issuer.windowsAsked > 5);
    const windows = (await entriesOf(manager)).filter(({ kind }) => kind === "renewal-window");
    assert.equal(windows.length, 1);
    assert.match(
      journalSentence(windows[0] as JournalEntry),
      /first wishes a renewal .*; why: https:\/\/ca\.example\/why/,
    );
  });

  void it("says after a restart that the same is served since then, not since the restart", async () => {
    await using world = await setup(new HeldClock());
    const first = await world.open();
    await configure(first, world);
    await world.clock.advance(0, () => first.settled());
    const before = await first.journals.read(NAMES);
    await world.clock.advance(HOUR, () => first.settled());
    const second = await world.open();
    await configure(second, world);
    await world.clock.advance(0, () => second.settled());
    assert.deepEqual(await second.journals.read(NAMES), before);
  });

  void it("goes on serving and renewing where it cannot be written, says so once, and writes later what it had", async () => {
    await using world = await setup(new HeldClock());
    // As a full disk does, a file in place of the folder refuses each writing, also root's.
    await writeFile(join(world.storage, "journal"), "");
    const manager = await world.open();
    await configure(manager, world);
    await world.clock.advance(0, () => manager.settled());
    await manager.journals.written();
    assert.equal(world.served.at(-1)?.[0]?.origin, "stored");
    await manager.renewNow("example.org");
    await manager.journals.written();
    assert.equal(world.log.text().match(/was not written/g)?.length, 1);
    await rm(join(world.storage, "journal"));
    await world.clock.advance(HOUR, () => manager.settled());
    await manager.journals.written();
    const entries = await entriesOf(manager);
    assert.equal(entries.filter(({ kind }) => kind === "order-finished").length, 2);
    assert.match(world.log.text(), /journals are written again/);
  });
});

void describe("the journal's file", () => {
  const entry = (at: number, error = "x"): JournalEntry => ({ at, kind: "attempt-failed", error });

  void it("holds the last 200 entries and 256 KB, and never loses what is served and who was told", () => {
    let journal = withEntry(emptyJournal(NAMES), { at: 1, kind: "served", certificates: [] });
    for (let at = 2; at < 400; at++) journal = withEntry(journal, entry(at));
    const small = parseJournal(formatJournal(journal));
    assert.equal(small.entries.length, 200);
    assert.equal(small.entries.at(-1)?.at, 399);
    assert.equal(small.served?.at, 1);
    assert.equal(small.episode.failures, 398);
    for (let at = 400; at < 600; at++) journal = withEntry(journal, entry(at, "ä".repeat(1000)));
    const text = formatJournal(journal);
    assert.ok(Buffer.byteLength(text) <= 256 * 1024);
    assert.equal(parseJournal(text).entries.at(-1)?.at, 599);
  });

  void it("is moved away where it is damaged, alone, and a new one begins", async () => {
    await using folder = await temporaryFolder();
    const { log, text } = listeningLogger();
    const damaged = new DamagedFiles({ storage: folder.path, clock: systemClock, log });
    const store = new JournalStore({ storage: folder.path, damaged, clock: systemClock, log });
    store.of(["a.example"]).record({ kind: "order-begun", issuer: "x" });
    store.of(["b.example"]).record({ kind: "order-begun", issuer: "x" });
    await store.written();
    const files = (await readdir(join(folder.path, "journal"))).sort();
    const path = join(folder.path, "journal", files[0] ?? "");
    const whole = await readFile(path, "utf8");
    for (const broken of [
      whole.slice(0, -1),
      `${whole}{"at":`,
      "",
      "nonsense\n",
      whole.replace('"version":1', '"version":9'),
    ]) {
      await writeFile(path, broken);
      store.of(["a.example"]).record({ kind: "order-begun", issuer: "y" });
      await store.written();
      const { entries } = await store.read(["a.example"]);
      assert.deepEqual(kinds(entries), ["order-begun"], JSON.stringify(broken));
    }
    assert.equal((await store.read(["b.example"])).entries.length, 1);
    assert.ok((await readdir(join(folder.path, "damaged"))).length >= 1);
    assert.match(text(), /is damaged .* a new journal is begun/);
  });

  void it("is whole after kill -9 at any moment of a writing, and leaves nothing beside it", async () => {
    await using folder = await temporaryFolder();
    const program = `
      import { DamagedFiles } from "${import.meta.resolve("../../src/certificates/damaged.ts")}";
      import { JournalStore } from "${import.meta.resolve("../../src/certificates/journal-store.ts")}";
      const clock = { now: () => Date.now(), setTimer: () => ({ cancel() {} }) };
      const log = { warn: (_, text) => console.error(text), info() {} };
      const storage = process.argv[1];
      const store = new JournalStore({ storage, clock, log, damaged: new DamagedFiles({ storage, clock, log }) });
      console.log("begun");
      for (;;) {
        store.of(["a.example"]).record({ kind: "attempt-failed", error: "x".repeat(900) });
        await store.written();
      }`;
    let failures = 0;
    for (let round = 0; round < 6; round++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program, folder.path], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (part: string) => (said += part));
      await once(child.stdout, "data");
      await sleep(30 + 17 * round);
      child.kill("SIGKILL");
      await once(child, "close");
      assert.equal(said.includes("damaged"), false, said);
      const { log } = listeningLogger();
      const damaged = new DamagedFiles({ storage: folder.path, clock: systemClock, log });
      const store = new JournalStore({ storage: folder.path, damaged, clock: systemClock, log });
      const { episode } = await store.read(["a.example"]);
      assert.ok(episode.failures >= failures, "no entry that was there is gone");
      failures = episode.failures;
    }
    assert.ok(failures > 6);
    await mkdir(join(folder.path, "journal"), { recursive: true });
    const { log } = listeningLogger();
    const damaged = new DamagedFiles({ storage: folder.path, clock: systemClock, log });
    const store = new JournalStore({ storage: folder.path, damaged, clock: systemClock, log });
    store.of(["a.example"]).record({ kind: "attempt-failed", error: "last" });
    await store.written();
    const files = await readdir(join(folder.path, "journal"));
    assert.equal(files.length, 1, files.join());
    assert.equal((await readdir(folder.path)).includes("damaged"), false);
  });

  void it("takes secrets out of a text, and leaves names and digests", () => {
    const digest = "59238c2015d0a93a743c0d1424919300157f096e520b4d03f417a39aa2661ee2";
    const name = "a-rather-long-label-that-somebody-made-for-a-review-app-4711.example.org";
    assert.equal(journalText(`${name} ${digest}`), `${name} ${digest}`);
    assert.equal(journalText(`got ${TOKEN}`), "got …");
    assert.equal(journalText("-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n!"), "(PEM) !");
    assert.equal(journalText("x".repeat(5000)).length, 1000);
  });
});

void describe("who is told", () => {
  interface Told extends Setup {
    readonly told: string[];
    restart(): Promise<CertificateManager>;
  }

  /** A manager whose notices are written down; `works` says whether a notice gets through. */
  async function listening(works: () => boolean = () => true): Promise<Told> {
    const world = await setup(new HeldClock());
    const told: string[] = [];
    return Object.assign(world, {
      told,
      async restart() {
        const manager = await world.open();
        manager.journals.notifier = {
          async notify({ reason, begin, took }) {
            await begin();
            told.push(reason);
            took({ channel: "mail", error: works() ? null : "refused" });
          },
        };
        await configure(manager, world);
        return manager;
      },
    });
  }

  /** Until the journals have settled, notices and their ends included. */
  async function pass(world: Told, manager: CertificateManager, time: number): Promise<void> {
    await world.clock.advance(time, async () => {
      await manager.settled();
      for (let count = 0; count < 4; count++) {
        await manager.journals.written();
        await new Promise(setImmediate);
      }
    });
  }

  void it("hears of the first failure, of three in a row, and of the end, each once", async () => {
    await using world = await listening();
    world.issuer.behave = async () => {
      throw new Error("the CA is down");
    };
    const manager = await world.restart();
    await pass(world, manager, 0);
    assert.deepEqual(world.told, ["failing"]);
    await pass(world, manager, 30 * MINUTE);
    assert.deepEqual(world.told, ["failing", "failing-repeatedly"]);
    await pass(world, manager, 5 * DAY);
    assert.ok((manager.status()[0]?.failures ?? 0) > 5);
    assert.deepEqual(world.told, ["failing", "failing-repeatedly"]);
    world.issuer.behave = async () => {};
    await pass(world, manager, 2 * DAY);
    assert.deepEqual(world.told, ["failing", "failing-repeatedly", "recovered"]);
    world.issuer.behave = async () => {
      throw new Error("down again");
    };
    await assert.rejects(manager.renewNow("example.org"));
    await pass(world, manager, 0);
    assert.equal(world.told.at(-1), "failing", "a new episode");
    const entries = await entriesOf(manager);
    assert.equal(entries.filter(({ kind }) => kind === "notified").length, 4);
  });

  void it("hears it once however often the daemon starts, and three in a row are counted over starts", async () => {
    await using world = await listening();
    world.issuer.behave = async () => {
      throw new Error("the CA is down");
    };
    for (let start = 0; start < 6; start++) await pass(world, await world.restart(), 0);
    assert.deepEqual(world.told, ["failing", "failing-repeatedly"]);
  });

  void it("is tried three times where it does not get through, and then left alone", async () => {
    await using world = await listening(() => false);
    world.issuer.behave = async () => {
      throw new Error("the CA is down");
    };
    const manager = await world.restart();
    await pass(world, manager, 20 * DAY);
    assert.equal(world.told.filter((reason) => reason === "failing").length, 3);
    assert.equal(world.told.filter((reason) => reason === "failing-repeatedly").length, 3);
  });

  void it("hears when less than a quarter of the life is left, once for that certificate", async () => {
    await using world = await listening();
    const manager = await world.restart();
    await pass(world, manager, 0);
    assert.deepEqual(world.told, []);
    world.issuer.behave = async () => {
      throw new Error("the CA is down");
    };
    // A life of seven days: the attempts begin with half of it left.
    await pass(world, manager, 5 * DAY);
    assert.deepEqual(new Set(world.told), new Set(["failing", "failing-repeatedly"]));
    await pass(world, manager, DAY);
    assert.equal(world.told.filter((reason) => reason === "ending").length, 1);
    world.issuer.behave = async () => {};
    await pass(world, manager, 2 * DAY);
    assert.equal(world.told.at(-1), "recovered");
  });

  void it("never waits in a renewal's way", async () => {
    await using world = await listening();
    const manager = await world.restart();
    manager.journals.notifier = { notify: () => new Promise(() => undefined) };
    world.issuer.behave = async () => {
      throw new Error("the CA is down");
    };
    await assert.rejects(manager.renewNow("example.org"), /the CA is down/);
    world.issuer.behave = async () => {};
    await world.clock.advance(2 * HOUR, () => manager.settled());
    assert.equal(manager.status()[0]?.state, "valid");
  });
});
