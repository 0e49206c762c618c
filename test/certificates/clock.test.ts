/** A clock that is plainly wrong: nothing good is given up, nothing is ordered in a loop, and all goes on when it is right. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import type { WantedCertificate } from "../../src/certificates/plan.ts";
import { PaddockError } from "../../src/errors.ts";
import { DAY, HOUR, MINUTE, setup, type FakeIssuer, type Setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const YEAR = 365 * DAY;

const want = (...issuers: FakeIssuer[]): WantedCertificate => ({
  names: ["example.org"],
  choice: { kind: "auto" },
  issuers,
});

const go = (manager: CertificateManager, clock: HeldClock, delay: number): Promise<void> =>
  clock.advance(delay, () => manager.settled());

const said = (on: Setup, pattern: RegExp): number =>
  on.log.lines.filter(({ msg }) => pattern.test(String(msg))).length;

/** As a CA whose TLS certificate is not valid by our clock; or `right`, which says the time that it is. */
const untrusted = async (): Promise<void> => {
  throw new PaddockError("acme.unreachable", "cannot talk to the CA: certificate has expired");
};

async function issued(on: Setup): Promise<CertificateManager> {
  const manager = await on.open();
  await manager.configure([want(on.issuer)]);
  await go(manager, on.clock, 0);
  return manager;
}

void describe("a clock that jumps", () => {
  for (const [way, by] of [
    ["a year ahead", YEAR],
    ["a year back", -YEAR],
    ["to 1970", -50 * YEAR],
  ] as const) {
    for (const restart of [false, true]) {
      const when = restart ? ", a restart in between," : "";
      void it(`${way}${when} and returns after a day leaves the certificate served, and renews it in time`, async () => {
        await using on = await setup(new HeldClock());
        let manager = await issued(on);
        const [before] = manager.served();
        const due = manager.status()[0]?.nextAttempt ?? 0;
        on.clock.jump(by);
        on.issuer.behave = untrusted;
        if (restart) {
          manager = await on.open();
          await manager.configure([want(on.issuer)]);
        }
        await go(manager, on.clock, DAY);
        assert.deepEqual(manager.served(), [before], "while it is wrong");
        assert.equal(manager.status()[0]?.state, by > 0 ? "failing" : "valid");
        assert.ok(on.issuer.requests.length <= 1 + 5, "no loop");
        on.clock.jump(-by);
        await go(manager, on.clock, 2 * MINUTE);
        const [status] = manager.status();
        assert.deepEqual([status?.state, status?.failures, status?.lastError], ["valid", 0, null]);
        assert.deepEqual(manager.served(), [before]);
        on.issuer.behave = async () => {};
        const orders = on.issuer.requests.length;
        await go(manager, on.clock, due - on.clock.now() - MINUTE);
        assert.equal(on.issuer.requests.length, orders, "not before its time");
        await go(manager, on.clock, 2 * MINUTE);
        assert.equal(on.issuer.requests.length, orders + 1, "at its time");
        assert.notEqual(manager.served()[0]?.fingerprint, before?.fingerprint);
        assert.ok(on.served.slice(1).every((set) => set[0]?.origin === "stored"));
        assert.equal(said(on, /the clock went .* (ahead|back), to/), restart ? 1 : 2);
      });
    }
  }

  void it("while an attempt waits leaves its wait as long as it was", async () => {
    await using on = await setup(new HeldClock());
    on.issuer.behave = untrusted;
    const manager = await issued(on);
    await go(manager, on.clock, 11.5 * MINUTE);
    assert.equal(on.issuer.requests.length, 3, "at once, after 1 and after 10 minutes");
    on.clock.jump(YEAR);
    await go(manager, on.clock, 2 * MINUTE);
    on.clock.jump(-YEAR);
    await go(manager, on.clock, 90 * MINUTE);
    assert.equal(on.issuer.requests.length, 3);
    await go(manager, on.clock, 10 * MINUTE);
    assert.equal(on.issuer.requests.length, 4);
  });

  void it("gets what the embedded CA made by the wrong clock made anew, below the same root", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const site: WantedCertificate = { names: ["app.test"], choice: { kind: "auto" }, issuers: [] };
    await manager.configure([site]);
    const root = manager.ca.rootCertificatePem;
    const check = (): void => {
      const [served] = manager.served();
      const blocks = (served?.chain ?? "").match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
      assert.equal(blocks.length, 2);
      for (const { validFromDate, validToDate } of blocks.map((pem) => new X509Certificate(pem))) {
        assert.ok(validFromDate.getTime() <= on.clock.now(), "it has begun");
        assert.ok(validToDate.getTime() > on.clock.now(), "it has not ended");
      }
    };
    for (const by of [3 * YEAR, -3 * YEAR]) {
      on.clock.jump(by);
      await go(manager, on.clock, 2 * MINUTE);
      check();
    }
    await go(manager, on.clock, 30 * DAY);
    check();
    assert.equal(manager.status()[0]?.state, "valid");
    assert.equal((await on.open()).ca.rootCertificatePem, root);
  });
});

void describe("a CA that says what the time is", () => {
  /** The CA's clock goes right however ours jumps; its certificates are made by it. */
  function right(on: Setup): { hear: (skew: number) => void } {
    let skew = 0;
    on.issuer.behave = async ({ heardTime }) => heardTime?.(on.clock.now() - skew);
    return { hear: (now) => void (skew = now) };
  }

  void it("keeps us from ordering what is due by our clock alone, and the failure says why", async () => {
    await using on = await setup(new HeldClock());
    const ca = right(on);
    const manager = await issued(on);
    const [before] = manager.served();
    on.clock.jump(YEAR);
    ca.hear(YEAR);
    await go(manager, on.clock, 3 * DAY);
    assert.deepEqual(manager.served(), [before]);
    assert.equal(on.attempts.filter(({ outcome }) => outcome === "success").length, 1);
    const { message } = manager.status()[0]?.lastError ?? assert.fail();
    assert.match(message, /clock of this machine says .*, which is 365 days ahead of the clock of first/);
    assert.match(message, /nothing is ordered\. Set the clock, .*NTP/);
    assert.equal(Math.round((manager.clockDifference?.ahead ?? 0) / DAY), 365);
    assert.equal(said(on, /^the clock of this machine says/), 1, "once, and not with each attempt");
    on.clock.jump(-YEAR);
    ca.hear(0);
    await go(manager, on.clock, 2 * MINUTE);
    assert.deepEqual([manager.status()[0]?.state, manager.clockDifference], ["valid", null]);
  });

  void it("lets us order what is due by its clock too", async () => {
    await using on = await setup(new HeldClock());
    const ca = right(on);
    const manager = await issued(on);
    ca.hear(2 * DAY);
    on.clock.jump(2 * DAY);
    await go(manager, on.clock, 8 * DAY);
    assert.ok(on.attempts.filter(({ outcome }) => outcome === "success").length >= 2);
    assert.notEqual(manager.status()[0]?.serving, "temporary");
  });

  void it("is told of in the log when the two differ by minutes, and when they agree again", async () => {
    await using on = await setup(new HeldClock());
    const ca = right(on);
    ca.hear(-20 * MINUTE);
    const manager = await issued(on);
    assert.equal(manager.status()[0]?.state, "valid", "twenty minutes keep nobody from ordering");
    assert.equal(said(on, /which is 20 minutes behind the clock of first\. Set the clock/), 1);
    ca.hear(MINUTE);
    await manager.renewNow("example.org");
    assert.equal(manager.clockDifference, null);
    assert.equal(said(on, /agree again/), 1);
    await go(manager, on.clock, HOUR);
  });
});
