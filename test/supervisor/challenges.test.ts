/** What the supervisor shows to a CA and what it remembers. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ChallengeAnswer } from "../../src/acme/challenge.ts";
import type { ChallengeKind } from "../../src/config/challenges.ts";
import { HookTurns } from "../../src/dns/hook.ts";
import { WorkerChallengeBoard } from "../../src/supervisor/challenge-board.ts";
import { ConfiguredChallenges } from "../../src/supervisor/configured-challenges.ts";
import { ProvenChallenges } from "../../src/supervisor/proven-challenges.ts";
import type { PendingChallenges } from "../../src/worker-protocol.ts";
import { listeningLogger } from "../certificates/fixtures.ts";

const never = new AbortController().signal;
const answer = (kind: ChallengeKind, name: string, token: string): ChallengeAnswer => ({
  kind,
  name,
  token,
  keyAuthorization: `${token}.thumbprint`,
});

/** Workers that only remember what they were told last. */
function workers(): { shown: PendingChallenges; setChallenges(pending: PendingChallenges): Promise<void> } {
  return {
    shown: { answers: [], certificates: [] },
    async setChallenges(pending) {
      await sleep(1);
      this.shown = pending;
    },
  };
}

void describe("the board of the workers", () => {
  void it("shows each kind in its own way, and takes back what it has shown", async () => {
    const told = workers();
    const board = new WorkerChallengeBoard(told);
    const [http, tls] = [answer("http-01", "a.example", "t1"), answer("tls-alpn-01", "a.example", "t2")];
    await Promise.all([board.publish(http, never), board.publish(tls, never)]);
    assert.deepEqual(told.shown.answers, [["t1", "t1.thumbprint"]]);
    assert.deepEqual(
      told.shown.certificates.map(({ names }) => names),
      [["a.example"]],
    );
    await board.withdraw(http);
    assert.deepEqual([told.shown.answers.length, told.shown.certificates.length], [0, 1]);
    await board.withdraw(tls);
    await board.withdraw(answer("tls-alpn-01", "a.example", "never published"));
    assert.deepEqual([told.shown.answers.length, told.shown.certificates.length], [0, 0]);
  });

  void it("shows one certificate at a time for a name, in turn, and an abort gives the turn up", async () => {
    const told = workers();
    const board = new WorkerChallengeBoard(told);
    const shown = (): string[] => told.shown.certificates.map(({ fingerprint }) => fingerprint);
    const [one, two, three] = ["1", "2", "3"].map((token) => answer("tls-alpn-01", "a.example", token)) as [
      ChallengeAnswer,
      ChallengeAnswer,
      ChallengeAnswer,
    ];
    await board.publish(one, never);
    const [first] = shown();
    const ending = new AbortController();
    const aborted = board.publish(two, ending.signal);
    const last = board.publish(three, never);
    await board.publish(answer("tls-alpn-01", "b.example", "4"), never);
    assert.equal(shown().length, 2, "another name does not wait");
    ending.abort(new Error("shutting down"));
    await assert.rejects(aborted, /shutting down/);
    await board.withdraw(two);
    assert.ok(shown().includes(String(first)));
    await board.withdraw(one);
    await last;
    assert.equal(shown().length, 2);
    assert.ok(!shown().includes(String(first)));
  });
});

void describe("what worked", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "paddock-proven-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const { log, text } = listeningLogger();
  const challenges = async (kinds: readonly ChallengeKind[], storage: string) => {
    const proven = await ProvenChallenges.open(storage, log);
    const parts = { workers: new WorkerChallengeBoard(workers()), proven, turns: new HookTurns(), log };
    return { proven, board: new ConfiguredChallenges({ challenges: kinds, dns: null }, parts) };
  };
  const kept = async (storage: string): Promise<unknown> =>
    JSON.parse(await readFile(join(storage, "challenges.json"), "utf8").catch(() => "null"));
  async function until(storage: string, expected: unknown): Promise<void> {
    for (let round = 0; round < 200; round += 1) {
      if (JSON.stringify(await kept(storage)) === JSON.stringify(expected)) return;
      await sleep(10);
    }
    assert.deepEqual(await kept(storage), expected);
  }

  void it("is tried first, also after a restart, until the configuration has it no more or the first works again", async () => {
    const storage = await mkdtemp(join(folder, "a-"));
    const { board } = await challenges(["http-01", "tls-alpn-01"], storage);
    assert.deepEqual(board.kindsFor("a.example"), ["http-01", "tls-alpn-01"]);
    board.proven("b.example", "http-01");
    assert.equal(await kept(storage), null, "the usual is not worth a file");
    board.proven("a.example", "tls-alpn-01");
    assert.deepEqual(board.kindsFor("a.example"), ["tls-alpn-01", "http-01"]);
    assert.deepEqual(board.kindsFor("b.example"), ["http-01", "tls-alpn-01"]);
    await until(storage, { "a.example": "tls-alpn-01" });
    const later = await challenges(["http-01", "tls-alpn-01"], storage);
    assert.deepEqual(later.board.kindsFor("a.example"), ["tls-alpn-01", "http-01"]);
    const narrower = await challenges(["http-01"], storage);
    assert.deepEqual(narrower.board.kindsFor("a.example"), ["http-01"]);
    later.board.proven("a.example", "http-01");
    await until(storage, {});
  });

  void it("is forgotten for names that are not configured, and never leads a wildcard or an address astray", async () => {
    const storage = await mkdtemp(join(folder, "b-"));
    await writeFile(
      join(storage, "challenges.json"),
      JSON.stringify({
        "*.a.example": "tls-alpn-01",
        "192.0.2.7": "dns-01",
        "a.example": "dns-01",
        x: "carrier pigeon",
      }),
    );
    const { board, proven } = await challenges(["http-01", "dns-01"], storage);
    assert.deepEqual(board.kindsFor("*.a.example"), ["dns-01"]);
    assert.deepEqual(board.kindsFor("192.0.2.7"), ["http-01"]);
    assert.deepEqual(board.kindsFor("x"), ["http-01", "dns-01"]);
    assert.deepEqual(board.kindsFor("a.example"), ["dns-01", "http-01"]);
    proven.keepOnly(new Set(["other.example"]));
    assert.deepEqual(board.kindsFor("a.example"), ["http-01", "dns-01"]);
  });

  void it("is nothing to stop for where the file is damaged or cannot be written", async () => {
    const storage = await mkdtemp(join(folder, "c-"));
    await writeFile(join(storage, "challenges.json"), '{"a.example": "tls-al');
    const { board } = await challenges(["http-01", "tls-alpn-01"], storage);
    assert.deepEqual(board.kindsFor("a.example"), ["http-01", "tls-alpn-01"]);
    await rm(storage, { recursive: true });
    board.proven("a.example", "tls-alpn-01");
    for (let round = 0; round < 200 && !text().includes("not written down"); round += 1) await sleep(10);
    assert.match(text(), /which challenge worked was not written down/);
    assert.deepEqual(board.kindsFor("a.example"), ["tls-alpn-01", "http-01"]);
  });
});
