/** Which orders are taken up again, and which are not. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";
import { AcmeIssuer } from "../../src/acme/issuer.ts";
import type { OrderKeeper } from "../../src/acme/kept-order.ts";
import { systemClock } from "../../src/clock.ts";
import { FaultyCa, problem, type CaAnswer } from "../parts/faulty-ca.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";
import { HttpBoard, issuerWith, MemoryAccounts, never } from "./fixtures.ts";

class MemoryOrders implements OrderKeeper {
  kept: Readonly<Record<string, unknown>> | null = null;

  async load(): Promise<Readonly<Record<string, unknown>> | null> {
    return this.kept;
  }

  async save(_names: readonly string[], order: Readonly<Record<string, unknown>>): Promise<void> {
    this.kept = order;
  }

  async remove(): Promise<void> {
    this.kept = null;
  }
}

void describe("an order that was interrupted", () => {
  let pebble: Pebble;
  let board: HttpBoard;
  let ca: FaultyCa;
  let count = 0;
  let orders: MemoryOrders;
  let accounts: MemoryAccounts;

  before(async () => {
    board = await new HttpBoard().listen();
    pebble = await startPebble({ nonceReject: 0, httpPort: board.port });
    ca = await FaultyCa.start(pebble);
    orders = new MemoryOrders();
    accounts = new MemoryAccounts();
  });
  afterEach(async () => {
    await ca[Symbol.asyncDispose]();
    ca = await FaultyCa.start(pebble);
    orders = new MemoryOrders();
    accounts = new MemoryAccounts();
  });
  after(async () => {
    await ca[Symbol.asyncDispose]();
    await board[Symbol.asyncDispose]();
    await pebble.stop();
  });

  const issuer = (options: Partial<ConstructorParameters<typeof AcmeIssuer>[0]> = {}): AcmeIssuer =>
    issuerWith({
      directory: ca.directoryUrl,
      trustedRoots: ca.trustedRoots,
      board,
      orders,
      accounts,
      ...options,
    });

  /** Begins an order and ends it by an abort before its finalization; returns what was asked for. */
  async function interrupted(): Promise<{ names: string[]; replaces: null; signal: AbortSignal }> {
    const names = [`kept-${(count += 1)}.example.org`];
    const ending = new AbortController();
    const held = ca.hold("finalize", "before");
    const outcome = issuer().issue({ names, replaces: null, signal: ending.signal });
    const { closed } = await held.reached;
    ending.abort(new Error("killed"));
    await assert.rejects(outcome, /killed/);
    await closed;
    held.release();
    assert.notEqual(orders.kept, null, "an abort leaves the order to be taken up");
    return { names, replaces: null, signal: never };
  }

  const changed = (answer: CaAnswer, change: object): CaAnswer => ({
    ...answer,
    body: JSON.stringify({ ...(JSON.parse(answer.body) as object), ...change }),
  });

  void it("is finalized with the key that was kept, and forgotten once it is released", async () => {
    const request = await interrupted();
    const key = orders.kept?.["key"];
    const issued = await issuer().issue(request);
    assert.equal(issued.key, key);
    assert.equal(ca.count("newOrder"), 1);
    const again = await issuer().issue(request);
    assert.equal(again.chain, issued.chain, "not stored yet, so it is the same one again");
    await issued.release();
    assert.equal(orders.kept, null);
    const next = await issuer().issue(request);
    assert.notEqual(next.chain, issued.chain);
    assert.equal(ca.count("newOrder"), 2);
  });

  void it("keeps its authorizations when it is aborted while one is pending", async () => {
    const ending = new AbortController();
    const held = ca.hold("challenge", "before");
    const names = [`kept-${(count += 1)}.example.org`];
    const outcome = issuer().issue({ names, replaces: null, signal: ending.signal });
    const { closed } = await held.reached;
    ending.abort(new Error("killed"));
    await assert.rejects(outcome, /killed/);
    await closed;
    held.release();
    const given = ca.requests.filter(({ payload }) => payload?.["status"] === "deactivated");
    assert.deepEqual(given, []);
    await issuer().issue({ names, replaces: null, signal: never });
    assert.equal(ca.count("newOrder"), 1);
  });

  void it("is not taken up under another profile or another account, or for other names", async () => {
    ca.describe({ meta: { profiles: { shortlived: "" } } });
    const request = await interrupted();
    await issuer({ profile: "shortlived" }).issue(request);
    assert.equal(ca.count("newOrder"), 2);
    const other = await interrupted();
    await issuer({ accounts: new MemoryAccounts() }).issue(other);
    assert.equal(ca.count("newOrder"), 4);
    await interrupted();
    await issuer().issue({ ...request, names: [`kept-${(count += 1)}.example.org`] });
    assert.equal(ca.count("newOrder"), 6);
  });

  for (const [what, status, kind] of [
    ["does not know any more", 404, "malformed"],
    ["says is another account's", 403, "unauthorized"],
  ] as const) {
    void it(`that the CA ${what} is made anew`, async () => {
      const request = await interrupted();
      const gone = new URL(String(orders.kept?.["order"])).pathname;
      ca.fail("order", ({ url }) => (url === gone ? problem(status, kind) : null));
      assert.ok(new X509Certificate((await issuer().issue(request)).chain));
      assert.equal(ca.count("newOrder"), 2);
    });
  }

  void it("that expired or was refused is made anew, with another key", async () => {
    for (const change of [{ expires: "2020-01-01T00:00:00Z" }, { status: "invalid" }]) {
      const request = await interrupted();
      const [gone, key] = [new URL(String(orders.kept?.["order"])).pathname, orders.kept?.["key"]];
      const before = ca.count("newOrder");
      ca.rewrite("order", (answer, { url }) => (url === gone ? changed(answer, change) : answer));
      assert.notEqual((await issuer().issue(request)).key, key);
      assert.equal(ca.count("newOrder"), before + 1);
      ca.rewrite("order", null);
    }
  });

  void it("stays while the CA is away, and is taken up when it is back", async () => {
    const request = await interrupted();
    ca.fail("order", () => ({ status: 503, fields: {}, body: "" }));
    await assert.rejects(issuer().issue(request), /HTTP status 503/);
    ca.fail("order", () => "cut");
    await assert.rejects(issuer().issue(request), /cannot talk to the CA/);
    ca.fail("order", null);
    await issuer().issue(request);
    assert.equal(ca.count("newOrder"), 1);
  });

  void it("is no renewal: the certificate that is to be replaced is not given again", async () => {
    const request = await interrupted();
    const issued = await issuer().issue(request);
    assert.equal(await issuer().underWay(request.names, null), true);
    const renewed = await issuer().issue({ ...request, replaces: issued.chain });
    assert.notEqual(renewed.chain, issued.chain);
    assert.equal(await issuer().underWay(request.names, renewed.key), false, "only left behind");
    assert.equal(orders.kept, null);
  });

  void it("whose certificate grew old at the CA is made anew", async () => {
    const request = await interrupted();
    const issued = await issuer().issue(request);
    const { validFromDate, validToDate } = new X509Certificate(issued.chain);
    const now = (validFromDate.getTime() + validToDate.getTime()) / 2;
    const set = { clock: { ...systemClock, now: () => now } };
    assert.equal((await issuer(set).issue(request)).chain, issued.chain, "it did not by the CA's own clock");
    ca.rewrite("directory", (answer) => ({ ...answer, fields: { ...answer.fields, date: "unknown" } }));
    assert.notEqual((await issuer(set).issue(request)).chain, issued.chain);
    assert.equal(ca.count("newOrder"), 2);
    const ended = { ...systemClock, now: () => validToDate.getTime() + 86_400_000 };
    await assert.rejects(issuer({ clock: ended }).issue(request), /it ended at/);
    assert.equal(ca.count("newOrder"), 3, "by this clock the new one has ended too");
  });

  void it("that could not be kept is finished all the same", async () => {
    orders.save = async () => {
      throw new Error("no space left on device");
    };
    const names = [`kept-${(count += 1)}.example.org`];
    const { chain } = await issuer().issue({ names, replaces: null, signal: never });
    assert.equal(new X509Certificate(chain).subjectAltName, `DNS:${names[0]}`);
  });
});
