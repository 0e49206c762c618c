/** What a CA's clock tells about ours, before anything is ordered. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { AcmeIssuer } from "../../src/acme/issuer.ts";
import { Transport } from "../../src/acme/transport.ts";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import { systemClock, type Clock } from "../../src/clock.ts";
import { PaddockError } from "../../src/errors.ts";
import { listeningLogger, temporaryFolder } from "../certificates/fixtures.ts";
import { FaultyCa } from "../parts/faulty-ca.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";
import { HttpBoard, issuerWith, never } from "./fixtures.ts";

const YEAR = 365 * 24 * 3_600_000;
const yearAhead: Clock = { ...systemClock, now: () => Date.now() + YEAR };

void describe("a CA's clock", () => {
  let pebble: Pebble;
  let board: HttpBoard;
  let ca: FaultyCa;

  before(async () => {
    board = await new HttpBoard().listen();
    pebble = await startPebble({ nonceReject: 0, httpPort: board.port });
    ca = await FaultyCa.start(pebble);
  });
  after(async () => {
    await ca[Symbol.asyncDispose]();
    await board[Symbol.asyncDispose]();
    await pebble.stop();
  });

  const issuer = (clock: Clock): AcmeIssuer =>
    issuerWith({ directory: ca.directoryUrl, trustedRoots: ca.trustedRoots, board, clock });

  void it("is told before the order, and nothing is ordered where that is refused", async () => {
    const heardTime = (time: number): void => {
      assert.ok(Math.abs(time - Date.now()) < 60_000);
      throw new PaddockError("certificate.clock-wrong", "the clock is wrong");
    };
    const order = issuer(yearAhead).issue({
      names: ["clock.example.org"],
      replaces: null,
      signal: never,
      heardTime,
    });
    await assert.rejects(order, /the clock is wrong/);
    assert.equal(ca.count("newAccount") + ca.count("newOrder"), 0);
  });

  void it("counts the time that the answer lay in a cache", async () => {
    const date = new Date(Date.now() - 7_200_000).toUTCString();
    ca.rewrite("directory", (answer) => ({ ...answer, fields: { ...answer.fields, date, age: "7200" } }));
    const heard: number[] = [];
    await issuer(systemClock).issue({
      names: ["age.example.org"],
      replaces: null,
      signal: never,
      heardTime: (time) => void heard.push(time),
    });
    ca.rewrite("directory", null);
    assert.equal(heard.length, 1);
    assert.ok(Math.abs((heard[0] ?? 0) - Date.now()) < 60_000);
  });
});

void describe("a CA whose own certificate is not valid now", () => {
  for (const [when, by] of [
    ["has ended", -YEAR],
    ["has not begun", YEAR],
  ] as const) {
    void it(`and ${when} makes the message name the clock of this machine`, async () => {
      await using folder = await temporaryFolder();
      const storage = folder.path;
      const clock = { ...systemClock, now: () => Date.now() + by };
      const damaged = new DamagedFiles({ storage, clock, log: listeningLogger().log });
      const embedded = await EmbeddedCa.open({ storage, clock, damaged });
      const { chain, key } = await embedded.issue(["127.0.0.1"]);
      const server = createServer({ cert: chain, key }).listen(0, "127.0.0.1");
      await once(server, "listening");
      try {
        const { port } = server.address() as AddressInfo;
        const transport = new Transport({ trustedRoots: embedded.rootCertificatePem, userAgent: "test" });
        await assert.rejects(
          transport.send({ method: "GET", url: `https://127.0.0.1:${port}/`, signal: never }),
          (error: unknown) => {
            assert.ok(error instanceof PaddockError);
            assert.equal(error.code, "acme.unreachable");
            assert.match(error.fix ?? "", /not valid by the clock of this machine, which says .*NTP/);
            return true;
          },
        );
      } finally {
        server.close();
      }
    });
  }
});
