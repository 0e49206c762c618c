/** Accounts that change their key or end, and certificates that are revoked, with every crash in between. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { AcmeIssuer } from "../../src/acme/issuer.ts";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { PaddockError } from "../../src/errors.ts";
import { FaultyCa, problem } from "../parts/faulty-ca.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";
import { HttpBoard, issuerWith, MemoryAccounts, never } from "./fixtures.ts";

let pebble: Pebble;
let board: HttpBoard;
let ca: FaultyCa;
let count = 0;

before(async () => {
  board = await new HttpBoard().listen();
  pebble = await startPebble({ nonceReject: 0, authzReuse: 100, httpPort: board.port });
  ca = await FaultyCa.start(pebble);
});
after(async () => {
  await ca[Symbol.asyncDispose]();
  await board[Symbol.asyncDispose]();
  await pebble.stop();
});

const issuer = (accounts: MemoryAccounts): AcmeIssuer =>
  issuerWith({ directory: ca.directoryUrl, trustedRoots: ca.trustedRoots, board, accounts });
const request = () => ({ names: [`account-${(count += 1)}.example.org`], replaces: null, signal: never });

/** An account that has ordered once. */
async function registered(): Promise<{
  accounts: MemoryAccounts;
  chain: string;
  key: string;
  names: string[];
}> {
  const accounts = new MemoryAccounts();
  const wish = request();
  const { chain, key } = await issuer(accounts).issue(wish);
  return { accounts, chain, key, names: wish.names };
}

void describe("an account's key", () => {
  void it("is changed; the account and its URL stay, and the old key opens nothing any more", async () => {
    const { accounts } = await registered();
    const old = accounts.saved.at(-1);
    assert.ok(old);
    await issuer(accounts).rollOverAccount(never);
    const changed = accounts.saved.at(-1);
    assert.equal(changed?.url, old.url);
    assert.notDeepEqual(changed?.privateJwk, old.privateJwk);
    assert.equal(changed?.nextJwk, undefined);
    const before = ca.count("newAccount");
    await issuer(accounts).issue(request());
    assert.equal(ca.count("newAccount"), before, "the same account");
    const former = new MemoryAccounts();
    former.saved = [old];
    await assert.rejects(issuer(former).issue(request()), AcmeProblem);
  });

  void it("is known durably before the CA hears of it", async () => {
    const { accounts } = await registered();
    const held = ca.hold("keyChange", "before");
    const outcome = issuer(accounts).rollOverAccount(never);
    await held.reached;
    const kept = accounts.saved.at(-1);
    assert.equal(typeof kept?.nextJwk?.["d"], "string");
    assert.notDeepEqual(kept?.nextJwk, kept?.privateJwk);
    held.release();
    await outcome;
  });

  for (const [when, inForce] of [
    ["before", "old"],
    ["after", "new"],
  ] as const) {
    void it(`is the ${inForce} one after a crash ${when} the CA heard of the change`, async () => {
      const { accounts } = await registered();
      const old = accounts.saved.at(-1);
      const ending = new AbortController();
      const held = ca.hold("keyChange", when);
      const outcome = issuer(accounts).rollOverAccount(ending.signal);
      const { closed } = await held.reached;
      ending.abort(new Error("killed"));
      await assert.rejects(outcome, /killed/);
      await closed;
      held.release();
      const next = accounts.saved.at(-1)?.nextJwk;
      assert.ok(next);
      await issuer(accounts).issue(request());
      const settled = accounts.saved.at(-1);
      assert.deepEqual(settled?.privateJwk, inForce === "old" ? old?.privateJwk : next);
      assert.equal(settled?.nextJwk, undefined);
      assert.equal(settled?.url, old?.url);
    });
  }

  void it("stays where the CA refuses the change", async () => {
    const { accounts } = await registered();
    const old = accounts.saved.at(-1);
    ca.fail("keyChange", () => problem(409, "malformed"));
    await assert.rejects(issuer(accounts).rollOverAccount(never), /the test says malformed/);
    ca.fail("keyChange", null);
    assert.deepEqual(accounts.saved.at(-1), old);
    await issuer(accounts).issue(request());
  });

  void it("is not changed under an order, which signs with it", async () => {
    const { accounts } = await registered();
    const one = issuer(accounts);
    const held = ca.hold("newOrder", "before");
    const order = one.issue(request());
    await held.reached;
    await assert.rejects(
      one.rollOverAccount(never),
      (error: unknown) => error instanceof PaddockError && error.code === "acme.order-under-way",
    );
    held.release();
    await order;
    await one.rollOverAccount(never);
  });

  void it("is not undone by a reload: the issuers before and after it take turns", async () => {
    const { accounts, ...certificate } = await registered();
    const held = ca.hold("keyChange", "after");
    const outcome = issuer(accounts).rollOverAccount(never);
    await held.reached;
    const next = accounts.saved.at(-1)?.nextJwk;
    const others = Promise.all([
      issuer(accounts).issue(request()),
      issuer(accounts).revoke({ ...certificate, reason: 4 }, never),
    ]);
    held.release();
    await Promise.all([outcome, others]);
    assert.deepEqual(accounts.saved.at(-1)?.privateJwk, next);
  });

  void it("cannot be changed where there is no account, and none is made for it", async () => {
    const before = ca.count("newAccount");
    for (const change of ["rollOverAccount", "deactivateAccount"] as const) {
      await assert.rejects(
        issuer(new MemoryAccounts())[change](never),
        (error: unknown) => error instanceof PaddockError && error.code === "acme.no-account",
      );
    }
    assert.equal(ca.count("newAccount"), before);
  });
});

void describe("an account that is deactivated", () => {
  void it("is of no use to anybody, and the next order makes another", async () => {
    const { accounts } = await registered();
    const old = accounts.saved.at(-1);
    assert.ok(old);
    await issuer(accounts).deactivateAccount(never);
    assert.equal(accounts.saved.length, 0);
    const former = new MemoryAccounts();
    former.saved = [old];
    await assert.rejects(issuer(former).issue(request()), AcmeProblem);
    await issuer(accounts).issue(request());
    assert.notEqual(accounts.saved.at(-1)?.url, old.url);
  });

  for (const when of ["before", "after"] as const) {
    void it(`is deactivated by the next use after a crash ${when} the CA heard of it`, async () => {
      const { accounts } = await registered();
      const old = accounts.saved.at(-1);
      assert.ok(old);
      const ending = new AbortController();
      const held = ca.hold("account", when);
      const outcome = issuer(accounts).deactivateAccount(ending.signal);
      const { closed } = await held.reached;
      ending.abort(new Error("killed"));
      await assert.rejects(outcome, /killed/);
      await closed;
      held.release();
      assert.equal(accounts.saved.at(-1)?.leaving, true);
      await issuer(accounts).issue(request());
      assert.notEqual(accounts.saved.at(-1)?.url, old.url);
      const former = new MemoryAccounts();
      former.saved = [old];
      await assert.rejects(issuer(former).issue(request()), AcmeProblem);
    });
  }
});

void describe("a certificate that is revoked", () => {
  const superseded = 4;

  /** How the request was signed that Pebble accepted last. */
  const asked = () => ca.requests.filter(({ step }) => step === "revokeCert");

  void it("is revoked by the account, with the reason; a second time is as good", async () => {
    const { accounts, ...certificate } = await registered();
    await issuer(accounts).revoke({ ...certificate, reason: superseded }, never);
    assert.equal(asked().at(-1)?.payload?.["reason"], superseded);
    assert.equal(asked().at(-1)?.signedBy, "kid");
    await issuer(accounts).revoke({ ...certificate, reason: superseded }, never);
  });

  void it("is revoked by its own key where the account is another, or none", async () => {
    for (const accounts of [(await registered()).accounts, new MemoryAccounts()]) {
      const { accounts: _, ...certificate } = await registered();
      const before = ca.count("newAccount");
      await issuer(accounts).revoke({ ...certificate, reason: 1 }, never);
      assert.equal(asked().at(-1)?.signedBy, "jwk");
      assert.equal(ca.count("newAccount"), before);
    }
  });

  void it("is not revoked by a key that is not its own", async () => {
    const { chain, names } = await registered();
    const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" });
    for (const { privateKey } of [
      generateKeyPairSync("rsa", { modulusLength: 2048 }),
      generateKeyPairSync("ec", { namedCurve: "P-256" }),
    ]) {
      const foreign = { chain, names, key: pem(privateKey), reason: 0 };
      await assert.rejects(issuer(new MemoryAccounts()).revoke(foreign, never), AcmeProblem);
    }
  });

  void it("may be revoked or not when the answer is lost, and the error says so", async () => {
    const { accounts, ...certificate } = await registered();
    ca.rewrite("revokeCert", () => "cut");
    await assert.rejects(issuer(accounts).revoke({ ...certificate, reason: 0 }, never), (error: unknown) => {
      assert.ok(error instanceof PaddockError);
      assert.equal(error.code, "acme.revocation-unknown");
      assert.equal((error as { uncertain?: boolean }).uncertain, true);
      return true;
    });
    ca.rewrite("revokeCert", null);
    const ending = new AbortController();
    const held = ca.hold("revokeCert", "after");
    const outcome = issuer(accounts).revoke({ ...certificate, reason: 0 }, ending.signal);
    await held.reached;
    ending.abort(new Error("too slow"));
    await assert.rejects(outcome, (error: unknown) => (error as { uncertain?: boolean }).uncertain === true);
    held.release();
    await issuer(accounts).revoke({ ...certificate, reason: 0 }, never);
    ca.fail("revokeCert", () => problem(400, "badRevocationReason"));
    await assert.rejects(
      issuer(accounts).revoke({ ...certificate, reason: 0 }, never),
      (error: unknown) => error instanceof AcmeProblem && !("uncertain" in error),
    );
    ca.fail("revokeCert", null);
  });
});
