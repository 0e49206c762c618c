import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Issuer } from "../../src/certificates/issuer.ts";
import { HeldClock } from "./held-clock.ts";
import { setup, type FakeIssuer, type Setup } from "./fixtures.ts";

type Revoked = Parameters<NonNullable<Issuer["revoke"]>>[0];

/** A fake CA that revokes, or does what `behave` says. */
function revoking(
  issuer: FakeIssuer,
  behave: (revoked: Revoked) => Promise<void> = async () => {},
): Revoked[] {
  const seen: Revoked[] = [];
  (issuer as Issuer).revoke = async (revoked) => {
    seen.push(revoked);
    await behave(revoked);
  };
  return seen;
}

const signal = new AbortController().signal;
const names = ["a.example.org"];
const wanted = (at: Setup) => [{ names, choice: { kind: "auto" } as const, issuers: [at.issuer] }];
const fingerprints = (at: Setup): string[] => at.served.map((set) => set[0]?.fingerprint ?? "");

void describe("a certificate that is revoked", () => {
  void it("is replaced at once by one with another key, and is not loaded at the next start", async () => {
    await using at = await setup(new HeldClock());
    const seen = revoking(at.issuer);
    const first = await at.open();
    await first.configure(wanted(at));
    await at.clock.advance(0, () => first.settled());
    const [old] = first.served();
    assert.equal(old?.origin, "stored");
    at.issuer.behave = async () => {
      throw new Error("the CA is away");
    };
    await assert.rejects(
      first.revoke("a.example.org", "keyCompromise", signal),
      /is revoked and still served, since there is no new one yet/,
    );
    assert.deepEqual(
      seen.map(({ chain, reason }) => [chain, reason]),
      [[old.chain, 1]],
    );
    assert.equal(first.served()[0]?.fingerprint, old.fingerprint, "better than the temporary one");

    const second = await at.open();
    await second.configure(wanted(at));
    assert.equal(second.served()[0]?.origin, "temporary", "the stored one is there, and not loaded");
    await at.clock.advance(0, () => second.settled());
    at.issuer.behave = async () => {};
    await second.renewNow("a.example.org");
    const [fresh] = second.served();
    assert.equal(fresh?.origin, "stored");
    assert.notEqual(fresh.fingerprint, old.fingerprint);
    assert.notEqual(fresh.key, old.key);
    await (await at.open()).configure(wanted(at));
    assert.equal(fingerprints(at).at(-1), fresh.fingerprint);
  });

  void it("leaves a note without its key, for nobody else to read", async () => {
    await using at = await setup(new HeldClock());
    revoking(at.issuer);
    const manager = await at.open();
    await manager.configure(wanted(at));
    await at.clock.advance(0, () => manager.settled());
    const old = manager.served()[0]?.fingerprint ?? "";
    await manager.revoke("a.example.org", "superseded", signal);
    assert.notEqual(manager.served()[0]?.fingerprint, old);
    const folder = join(at.storage, "revoked");
    assert.deepEqual(await readdir(folder), [`${old}.json`]);
    const path = join(folder, `${old}.json`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const text = await readFile(path, "utf8");
    assert.equal(text.includes("PRIVATE KEY"), false);
    assert.equal((JSON.parse(text) as { reason: number }).reason, 4);
  });

  void it("stays in use where the CA refuses, also after a restart", async () => {
    await using at = await setup(new HeldClock());
    revoking(at.issuer, async () => {
      throw new Error("badRevocationReason");
    });
    const manager = await at.open();
    await manager.configure(wanted(at));
    await at.clock.advance(0, () => manager.settled());
    const old = manager.served()[0]?.fingerprint;
    await assert.rejects(manager.revoke("a.example.org", "unspecified", signal), /badRevocationReason/);
    const next = await at.open();
    await next.configure(wanted(at));
    assert.equal(next.served()[0]?.fingerprint, old);
    assert.equal(at.issuer.requests.length, 1);
  });

  void it("is revoked by the next start where nobody knows whether the CA heard of it", async () => {
    await using at = await setup(new HeldClock());
    const lost = Object.assign(new Error("the answer was lost"), { uncertain: true });
    const seen = revoking(at.issuer, async () => {
      throw lost;
    });
    const manager = await at.open();
    await manager.configure(wanted(at));
    await at.clock.advance(0, () => manager.settled());
    const old = manager.served()[0];
    await assert.rejects(manager.revoke("a.example.org", "keyCompromise", signal), /the answer was lost/);
    const again = revoking(at.issuer);
    const next = await at.open();
    await next.configure(wanted(at));
    await at.clock.advance(0, () => next.settled());
    assert.deepEqual(again[0], seen[0], "the same once more");
    assert.equal(again.length, 1);
    assert.notEqual(next.served()[0]?.fingerprint, old?.fingerprint);
    const third = await at.open();
    await third.configure(wanted(at));
    await at.clock.advance(0, () => third.settled());
    assert.equal(again.length, 1, "confirmed, so not a third time");
  });

  void it("cannot be one of the embedded CA, of files, or one that is not there", async () => {
    await using at = await setup(new HeldClock());
    const manager = await at.open();
    await manager.configure([{ names: ["a.test"], choice: { kind: "local" }, issuers: [] }, ...wanted(at)]);
    await at.clock.advance(0, () => manager.settled());
    await assert.rejects(manager.revoke("a.test", "superseded", signal), /local revokes no certificates/);
    await assert.rejects(manager.revoke("b.example.org", "superseded", signal), /no site has the name/);
    await assert.rejects(
      manager.revoke("a.example.org", "superseded", signal),
      /first revokes no certificates/,
    );
  });
});
