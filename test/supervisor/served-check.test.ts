/** What is served against what is stored, with real TLS servers that serve something else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { describe, it } from "node:test";
import { createSecureContext, createServer as createTlsServer } from "node:tls";
import { readPair, type CertificatePair } from "../../src/certificates/certificate-pair.ts";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import { AddressList } from "../../src/exchange/address-list.ts";
import { readProxyHeader } from "../../src/proxy-protocol/read.ts";
import { shakeHands, type OwnAddress } from "../../src/supervisor/served-check/handshake.ts";
import {
  ServedCheck,
  type Difference,
  type WorkerHolding,
} from "../../src/supervisor/served-check/served-check.ts";
import { HOUR, listeningLogger, temporaryFolder } from "../certificates/fixtures.ts";
import { HeldClock } from "../certificates/held-clock.ts";

const NOBODY = new AddressList([]);
const forever = new AbortController().signal;

/** A server on a free port of loopback that ends with the test. */
async function listen(server: Server): Promise<OwnAddress & AsyncDisposable> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    host: "127.0.0.1",
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

/** A TLS server of names, each with the certificate that is in `held` at that moment. */
function tlsServer(held: ReadonlyMap<string, CertificatePair>, asked: string[] = []): Server {
  const server = createTlsServer({
    SNICallback(name, callback) {
      asked.push(name);
      const pair = held.get(name);
      if (pair === undefined) callback(new Error("unrecognized name"));
      else callback(null, createSecureContext({ cert: pair.chain, key: pair.key }));
    },
  });
  server.on("tlsClientError", () => undefined);
  return server;
}

interface Part extends AsyncDisposable {
  issue(name: string): Promise<CertificatePair>;
}

async function authority(): Promise<Part> {
  const folder = await temporaryFolder();
  const clock = new HeldClock();
  const damaged = new DamagedFiles({ storage: folder.path, clock, log: listeningLogger().log });
  const ca = await EmbeddedCa.open({ storage: folder.path, clock, damaged });
  return {
    async issue(name) {
      const { chain, key } = await ca.issue([name]);
      return readPair(chain, key);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

void describe("a handshake with the own listener", () => {
  void it("tells the fingerprint, for a wildcard too", async () => {
    await using ca = await authority();
    const pair = await ca.issue("a.test");
    const asked: string[] = [];
    const held = new Map([
      ["a.test", pair],
      ["served-check.b.test", pair],
    ]);
    await using server = await listen(tlsServer(held, asked));
    const result = { fingerprint: pair.fingerprint };
    assert.deepEqual(await shakeHands(server, "a.test", NOBODY, forever), result);
    assert.deepEqual(await shakeHands(server, "*.b.test", NOBODY, forever), result);
    assert.deepEqual(asked, ["a.test", "served-check.b.test"]);
  });

  void it("begins with a PROXY header that speaks for itself where the listener wants one", async () => {
    let header: unknown;
    await using server = await listen(
      createTcpServer((socket) => {
        socket.once("data", (bytes: Buffer) => {
          header = readProxyHeader(bytes);
          socket.destroy();
        });
        socket.on("error", () => undefined);
      }),
    );
    const loopback = new AddressList([{ address: "127.0.0.0", prefix: 8, family: "ipv4" }]);
    const result = await shakeHands(server, "a.test", loopback, forever);
    assert.deepEqual(header, { address: null, length: 16 });
    assert.ok("error" in result);
  });

  void it("tells a refused name from a server that is not there", async () => {
    // RFC 6066 section 3: the alert that acceptTls writes.
    const refusing = createTcpServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 0x70])));
    });
    const server = await listen(refusing);
    assert.deepEqual(await shakeHands(server, "a.test", NOBODY, forever), { fingerprint: null });
    await server[Symbol.asyncDispose]();
    assert.deepEqual(await shakeHands(server, "a.test", NOBODY, forever), { error: "ECONNREFUSED" });
  });
});

void describe("the comparison of what is served with what is stored", () => {
  interface World extends AsyncDisposable {
    readonly check: ServedCheck;
    readonly clock: HeldClock;
    readonly log: ReturnType<typeof listeningLogger>;
    /** What the server serves. */
    readonly served: Map<string, CertificatePair>;
    readonly stored: Map<string, CertificatePair>;
    readonly differences: Difference[];
    readonly repaired: string[];
    repairs: number;
    handshakes: number;
    most: number;
    holdings: ((names: readonly string[]) => WorkerHolding[]) | null;
    repair: () => void;
    /** Called before each handshake. */
    seen: (name: string) => void;
    /** Tells the check what is served from now on. */
    tell(): void;
    /** Tells the check what is served from now on, and waits until it has looked. */
    swap(): Promise<void>;
    pass(time: number): Promise<void>;
  }

  async function world(
    names: readonly string[],
    addresses: "server" | "none" | "closed" = "server",
  ): Promise<World> {
    const ca = await authority();
    const stored = new Map<string, CertificatePair>();
    for (const name of names) stored.set(name, await ca.issue(name));
    const served = new Map(stored);
    const server = await listen(tlsServer(served));
    if (addresses === "closed") await server[Symbol.asyncDispose]();
    const clock = new HeldClock();
    const log = listeningLogger();
    let running = 0;
    const made: World = {
      clock,
      log,
      served,
      stored,
      differences: [],
      repaired: [],
      repairs: 0,
      handshakes: 0,
      most: 0,
      holdings: null,
      seen: () => undefined,
      repair: () => {
        for (const [name, pair] of stored) served.set(name, pair);
      },
      check: new ServedCheck({
        clock,
        log: log.log,
        addresses: () => (addresses === "none" ? [] : [server]),
        async shakeHands(address, name, signal) {
          made.handshakes += 1;
          made.seen(name);
          running += 1;
          made.most = Math.max(made.most, running);
          try {
            return await shakeHands(address, name, NOBODY, signal);
          } finally {
            running -= 1;
          }
        },
        askWorkers: async (asked) =>
          made.holdings?.(asked) ?? [
            { worker: 7, fingerprints: asked.map((name) => served.get(name)?.fingerprint ?? null) },
          ],
        async repair() {
          made.repairs += 1;
          made.repair();
        },
        onDifference: (difference) => void made.differences.push(difference),
        onRepaired: (name) => void made.repaired.push(name),
      }),
      tell() {
        made.check.swapped(new Map([...stored].map(([name, { fingerprint }]) => [name, fingerprint])));
      },
      async swap() {
        made.tell();
        await made.pass(0);
      },
      async pass(time) {
        const settle = async (): Promise<void> => {
          // A look ends, or waits for the clock; either way it starts nothing more by itself.
          let idle = 0;
          while (idle < 3) {
            await new Promise((resolve) => setTimeout(resolve, 5));
            idle = running === 0 ? idle + 1 : 0;
          }
        };
        const end = clock.now() + time;
        await clock.advance(0, settle);
        while (clock.next <= Math.max(end, clock.now() + 5_000)) {
          await clock.advance(clock.next - clock.now(), settle);
          if (clock.now() > end + 60_000) break;
        }
        if (clock.now() < end) await clock.advance(end - clock.now(), settle);
      },
      async [Symbol.asyncDispose]() {
        made.check.close();
        if (addresses !== "closed") await server[Symbol.asyncDispose]();
        await ca[Symbol.asyncDispose]();
      },
    };
    return made;
  }

  void it("finds nothing where all is as it should be: one handshake per name, one at a time", async () => {
    await using one = await world(["a.test", "b.test", "*.c.test"]);
    one.served.set("served-check.c.test", one.stored.get("*.c.test") as CertificatePair);
    await one.swap();
    for (const name of one.stored.keys()) assert.equal(one.check.verdict(name), true, name);
    assert.deepEqual([one.handshakes, one.most, one.repairs], [3, 1, 0]);
    await one.swap();
    assert.equal(one.handshakes, 3, "nothing has changed");
  });

  void it("puts right what the listener serves instead, and counts it", async () => {
    await using one = await world(["a.test", "b.test"]);
    one.served.set("a.test", one.stored.get("b.test") as CertificatePair);
    one.holdings = (names) => [
      { worker: 7, fingerprints: names.map((name) => one.stored.get(name)?.fingerprint ?? null) },
    ];
    await one.swap();
    assert.equal(one.repairs, 1);
    assert.deepEqual(one.repaired, ["a.test"]);
    const [difference] = one.differences;
    assert.equal(difference?.found, one.stored.get("b.test")?.fingerprint);
    assert.match(difference?.where ?? "", /^127\.0\.0\.1:\d+$/);
    assert.equal(one.check.verdict("a.test"), true);
    assert.match(
      one.log.text(),
      /a\.test is served with the certificate .* the certificates are sent to the workers again/,
    );
  });

  void it("puts right what one worker holds, though the handshake came to another", async () => {
    await using one = await world(["a.test"]);
    let wrong = true;
    one.holdings = (names) => [
      { worker: 7, fingerprints: names.map((name) => one.stored.get(name)?.fingerprint ?? null) },
      {
        worker: 8,
        fingerprints: names.map((name) => (wrong ? null : (one.stored.get(name)?.fingerprint ?? null))),
      },
    ];
    one.repair = () => {
      wrong = false;
    };
    await one.swap();
    assert.deepEqual(
      one.differences.map(({ where, found }) => [where, found]),
      [["worker 8", null]],
    );
    assert.deepEqual([one.repairs, one.check.verdict("a.test")], [1, true]);
  });

  void it("says 0 where sending them again does not help, and tries again in an hour, not at once", async () => {
    await using one = await world(["a.test", "b.test"]);
    one.served.delete("a.test");
    const repair = one.repair;
    one.repair = () => undefined;
    one.check.start();
    await one.swap();
    assert.deepEqual(
      [one.repairs, one.check.verdict("a.test"), one.check.verdict("b.test")],
      [1, false, true],
    );
    assert.match(one.log.text(), /still not served with the stored certificate; restart the daemon/);
    one.repair = repair;
    await one.pass(HOUR + 10_000);
    assert.deepEqual([one.repairs, one.check.verdict("a.test")], [2, true]);
  });

  void it("takes a swap in the middle for no difference", async () => {
    await using one = await world(["a.test"]);
    const newer = one.stored.get("a.test") as CertificatePair;
    let looks = 0;
    // The first look sees the certificate of before; the second one what has arrived meanwhile.
    one.holdings = () => [
      { worker: 7, fingerprints: [looks++ === 0 ? "the one before" : newer.fingerprint] },
    ];
    await one.swap();
    assert.deepEqual([one.repairs, one.differences.length, one.check.verdict("a.test")], [0, 0, true]);
  });

  void it("says 0, and repairs nothing, where nobody answers", async () => {
    await using one = await world(["a.test"], "closed");
    await one.swap();
    assert.deepEqual([one.handshakes, one.repairs, one.check.verdict("a.test")], [2, 0, false]);
    assert.match(one.log.text(), /no handshake for a\.test with the own listener .*ECONNREFUSED/);
  });

  void it("asks the workers alone where https is off", async () => {
    await using one = await world(["a.test"], "none");
    await one.swap();
    assert.deepEqual([one.handshakes, one.check.verdict("a.test")], [0, true]);
  });

  void it("spreads many names: each handshake waits for its turn", async () => {
    const names = Array.from({ length: 6 }, (_, index) => `n${index}.test`);
    await using one = await world(names);
    const began = one.clock.now();
    await one.swap();
    assert.equal(one.handshakes, names.length);
    assert.ok(one.clock.now() - began >= (names.length - 1) * 1000);
  });

  void it("looks at what a swap changed before it goes on with a round", async () => {
    const names = Array.from({ length: 5 }, (_, index) => `n${index}.test`);
    await using one = await world(names);
    const order: string[] = [];
    one.seen = (name) => {
      order.push(name);
      if (order.length !== 2) return;
      // While the first names of the round are looked at, the first one is renewed once more.
      const [first = "", second = ""] = names;
      const newer = one.stored.get(second) as CertificatePair;
      one.stored.set(first, newer);
      one.served.set(first, newer);
      one.tell();
    };
    await one.swap();
    assert.deepEqual(order, ["n0.test", "n1.test", "n0.test", "n2.test", "n3.test", "n4.test"]);
    assert.deepEqual([one.repairs, one.check.verdict("n0.test")], [0, true]);
  });
});
