import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { desiredShares, nextShares, type Demand } from "../../src/supervisor/allotment.ts";
import { backlogOf, unixSockets } from "../../src/supervisor/backlog.ts";
import { LearnedLimit } from "../../src/supervisor/learned-limit.ts";

const demand = (inFlight: number, waiting: number): Demand => ({ inFlight, waiting });

test("a limit goes where the work is, and an idle worker keeps one place", () => {
  assert.deepEqual(desiredShares(8, [demand(2, 10), demand(0, 0)]), [7, 1]);
  assert.deepEqual(desiredShares(8, [demand(4, 4), demand(4, 4)]), [4, 4]);
  assert.deepEqual(desiredShares(8, [demand(0, 0), demand(0, 0)]), [4, 4]);
  assert.deepEqual(desiredShares(1, [demand(0, 0), demand(0, 3)]), [0, 1], "fewer places than workers");
});

test("however demand moves, all workers together never exceed the limit", () => {
  const demands = fc.array(fc.tuple(fc.nat({ max: 20 }), fc.nat({ max: 20 })), {
    minLength: 3,
    maxLength: 3,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(demands, { maxLength: 30 }), (limit, rounds) => {
      let shares = [0, 0, 0];
      let atApp = [0, 0, 0];
      for (const round of rounds) {
        // What was at the app goes on; each worker fills its share from what wants to go, or finishes some.
        atApp = atApp.map((inFlight, index) => {
          const [finished, wanting] = round[index] as [number, number];
          const left = Math.max(0, inFlight - finished);
          return Math.max(left, Math.min(shares[index] as number, left + wanting));
        });
        assert.ok(atApp.reduce((sum, value) => sum + value, 0) <= limit, `${atApp.join(" + ")} of ${limit}`);
        shares = nextShares(
          limit,
          shares,
          atApp.map((inFlight, index) => demand(inFlight, (round[index] as [number, number])[1])),
        );
      }
    }),
  );
});

test("demand that stays gets all of the limit in two rounds", () => {
  const first = nextShares(6, [3, 3], [demand(3, 9), demand(0, 0)]);
  assert.deepEqual(first, [3, 1], "lowered first, raised when that is known");
  assert.deepEqual(nextShares(6, first, [demand(3, 9), demand(0, 0)]), [5, 1]);
});

test("learns from the backlog what the app takes, and grows when it takes all", () => {
  const limit = new LearnedLimit();
  limit.sample(50, 0);
  assert.equal(limit.value, Infinity, "an app that takes all that comes has no limit");
  limit.sample(50, 48);
  assert.equal(limit.value, 3, "two at work, one in the backlog");
  limit.sample(3, 1);
  assert.equal(limit.value, 3);
  limit.sample(3, 0);
  assert.ok(limit.value > 3, "more workers have come");
  for (let count = 0; count < 10; count++)
    limit.sample(Math.min(limit.value, 40), Math.max(0, limit.value - 16));
  assert.ok(limit.value >= 17 && limit.value <= 41, String(limit.value));
});

/** Listens, accepts one connection, and no other. */
const ACCEPTS_ONE = `
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(20)
print("ready", flush=True)
accepted = listening.accept()
print("one", flush=True)
sys.stdin.read()
`;

test("counts what the kernel says waits in a backlog", async () => {
  const folder = await mkdtemp(join(tmpdir(), "paddock-backlog-"));
  const path = join(folder, "app.sock");
  const child = spawn("/usr/bin/python3", ["-c", ACCEPTS_ONE, path]);
  const other = createServer().listen(`${path}2`);
  const clients: Socket[] = [];
  try {
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
    await once(other, "listening");
    while (!said.includes("ready")) await once(child.stdout, "data");
    for (let count = 0; count < 4; count++) {
      const client = connect(path);
      clients.push(client);
      await once(client, "connect");
    }
    while (!said.includes("one")) await once(child.stdout, "data");
    const table = await unixSockets();
    assert.ok(table !== null);
    assert.equal(backlogOf(table, path), 3);
    assert.equal(backlogOf(table, `${path}2`), 0);
    assert.equal(backlogOf(table, join(folder, "no.sock")), 0);
  } finally {
    for (const client of clients) client.destroy();
    const exit = once(child, "exit");
    child.kill();
    other.close();
    await exit;
    await rm(folder, { recursive: true });
  }
});
