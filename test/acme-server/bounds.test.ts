import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mayCertify } from "../../src/acme-server/name-policy.ts";
import { IssuedNonces } from "../../src/acme-server/nonces.ts";
import { AcmeRefusal } from "../../src/acme-server/problem.ts";
import { RateLimit } from "../../src/acme-server/rate-limit.ts";
import type { AcmeServerWish } from "../../src/acme-server/messages.ts";
import type { OrderRecord } from "../../src/acme-server/records.ts";
import { newRecordId, Registry } from "../../src/acme-server/registry.ts";

const DAY = 24 * 3_600_000;

function isRefused(kind: string): (error: unknown) => boolean {
  return (error) => error instanceof AcmeRefusal && error.kind === kind;
}

void describe("nonces", () => {
  void it("are good once, for an hour, and for as many as are remembered", () => {
    let now = 0;
    const nonces = new IssuedNonces(() => now);
    const first = nonces.issue();
    nonces.use(first);
    assert.throws(() => nonces.use(first), isRefused("badNonce"));
    const old = nonces.issue();
    now = 3_600_001;
    assert.throws(() => nonces.use(old), isRefused("badNonce"));
    const pushedOut = nonces.issue();
    const kept = Array.from({ length: 10_000 }, () => nonces.issue());
    assert.throws(() => nonces.use(pushedOut), isRefused("badNonce"));
    assert.equal(new Set(kept).size, 10_000);
    for (const nonce of kept) nonces.use(nonce);
  });
});

void describe("the rate limit", () => {
  void it("lets a burst through, then as many as come back, each key for itself", () => {
    let now = 0;
    const limit = new RateLimit("things", 3, 30_000, () => now);
    for (let count = 0; count < 3; count++) limit.take("a");
    assert.throws(
      () => limit.take("a"),
      (error: AcmeRefusal) => error.kind === "rateLimited" && error.options.retryAfter === 10,
    );
    limit.take("b");
    now = 9_999;
    assert.throws(() => limit.take("a"), isRefused("rateLimited"));
    now = 10_001;
    limit.take("a");
    assert.throws(() => limit.take("a"), isRefused("rateLimited"));
  });
});

void describe("the registry", () => {
  const order = (id: string, members: Partial<OrderRecord> = {}): OrderRecord => ({
    id,
    account: "a",
    createdAt: 0,
    expires: DAY,
    authorizations: [],
    certificate: null,
    ...members,
  });
  const certificate = { chain: "", fingerprint: "f", notAfter: 50 * DAY, revoked: null };

  void it("forgets what has ended, on disk too, and keeps what has not", async () => {
    const removed: string[] = [];
    const ask = async (wish: AcmeServerWish): Promise<null> => {
      if (wish.type === "remove") removed.push(wish.recordId);
      return null;
    };
    let now = 0;
    const account = { thumbprint: "", jwk: {}, contact: [], status: "valid" } as const;
    const registry = new Registry(
      {
        accounts: [
          { ...account, id: "a", createdAt: 0 },
          { ...account, id: "idle", createdAt: 0 },
        ],
        orders: [order("pending"), order("issued", { certificate })],
      },
      ask,
      () => now,
    );
    await registry.clean();
    assert.deepEqual(removed, []);
    now = 2 * DAY;
    await registry.clean();
    assert.deepEqual(removed, ["pending"]);
    now = 90 * DAY + 1;
    await registry.clean();
    assert.deepEqual(new Set(removed), new Set(["a", "idle", "issued", "pending"]));
    assert.equal(registry.order("issued"), undefined);
  });

  void it("does not show what could not be saved, and holds back more than it keeps", async () => {
    let full = true;
    const ask = async (): Promise<null> => {
      if (full) throw new Error("ENOSPC");
      return null;
    };
    const registry = new Registry({ accounts: [], orders: [] }, ask);
    await assert.rejects(registry.addOrder(order("one")), /ENOSPC/);
    assert.equal(registry.order("one"), undefined);
    full = false;
    await registry.addOrder(order("one"));
    full = true;
    await assert.rejects(
      registry.updateOrder("one", (current) => ({ ...current, certificate })),
      /ENOSPC/,
    );
    assert.equal(registry.order("one")?.certificate, null);
    full = false;
    for (let count = 1; count < 500; count++) await registry.addOrder(order(newRecordId()));
    await assert.rejects(registry.addOrder(order("many")), isRefused("rateLimited"));
    await registry.addOrder(order("other", { account: "b" }));
  });

  void it("changes one record after the other, so that none is lost", async () => {
    const ask = (): Promise<null> => new Promise((resolve) => setImmediate(() => resolve(null)));
    const registry = new Registry({ accounts: [], orders: [order("one")] }, ask);
    await Promise.all(
      Array.from({ length: 20 }, () =>
        registry.updateOrder("one", (current) => ({ ...current, createdAt: current.createdAt + 1 })),
      ),
    );
    assert.equal(registry.order("one")?.createdAt, 20);
  });
});

void describe("the names", () => {
  void it("are those that are listed, and those below a wildcard, and never a wildcard", () => {
    const allowed = ["*.internal", "db.example.org", "10.0.0.5"];
    for (const name of ["a.internal", "a.b.internal", "db.example.org", "10.0.0.5"])
      assert.ok(mayCertify(allowed, name), name);
    for (const name of [
      "internal",
      "xinternal",
      "*.internal",
      "a.*.internal",
      "a..internal",
      ".internal",
      "a.internal.",
      "A.internal",
      "a.internal\n",
      "www.db.example.org",
      "example.org",
      "10.0.0.6",
      "::1",
      "",
    ])
      assert.ok(!mayCertify(allowed, name), JSON.stringify(name));
  });
});
