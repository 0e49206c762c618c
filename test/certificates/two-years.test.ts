/** The schedule through two years of a CA that is away again and again: no lapse, and no renewal before its time. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import { renewalTime, shortestInterval } from "../../src/certificates/renewal-schedule.ts";
import { readPair } from "../../src/certificates/certificate-pair.ts";
import { DAY, HOUR, setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";
import { drawing, SimulatedCa, type Issuance, type WindowShape } from "./simulated-ca.ts";

const TWO_YEARS = 730 * DAY;
const LIFETIMES = { "45 days": 45 * DAY, "160 hours": 160 * HOUR } as const;

/** Let's Encrypt's windows are 2 % of the life around the moment with a third left, or half of short-lived ones. */
const SHAPES: readonly (readonly [string, keyof typeof LIFETIMES, WindowShape])[] = [
  ["no renewal information", "45 days", null],
  ["no renewal information", "160 hours", null],
  ["windows as Let's Encrypt's", "45 days", [0.6567, 0.6767]],
  ["windows as Let's Encrypt's", "160 hours", [0.49, 0.51]],
  ["windows with a third left", "160 hours", [0.6567, 0.6767]],
];

void describe("two years of certificates", () => {
  for (const [index, [windows, title, shape]] of SHAPES.entries()) {
    const seed = Number(process.env["PADDOCK_TEST_SEED"] ?? 20260) + index;
    void it(`of ${title}, with ${windows}, never lapse and are not renewed too often (seed ${seed})`, async (test) => {
      const seen = await simulate(seed, LIFETIMES[title], shape);
      const { issued, outages } = seen.ca;
      const orders = outages.reduce((sum, outage) => sum + outage.orders, 0);
      test.diagnostic(
        `${issued.length} certificates, ${outages.length} outages with ${orders} orders, ${seen.restarts.length} restarts`,
      );
      assert.ok(outages.filter((outage) => outage.orders > 0).length >= 5, "the outages were felt");
      assert.ok(new Set(outages.map(({ kind }) => kind)).size === 4, "every kind of outage");
      assert.ok(seen.restarts.length >= 10);

      assert.deepEqual(seen.lapses, []);
      const early = issued.slice(1).filter((next, at) => next.at < earliest(issued[at] ?? assert.fail()));
      assert.deepEqual(early, [], "no renewal before its time");
      for (const { start, end, orders: count } of outages) {
        const restarts = seen.restarts.filter((at) => at >= start && at <= end).length;
        assert.ok(
          count <= 16 + 2 * restarts,
          `${count} orders in one outage of ${(end - start) / HOUR} hours`,
        );
        if (count === 0 || end + 1.05 * DAY > seen.end) continue;
        const after = issued.find(({ at }) => at >= end);
        assert.ok(after !== undefined && after.at - end <= 1.05 * DAY + HOUR, "renewed soon after an outage");
      }
    });
  }
});

/** The first moment at which the rule allows a renewal, milliseconds since the epoch. */
function earliest(certificate: Issuance): number {
  const byLifetime = renewalTime(certificate, 1);
  const first = Math.min(byLifetime, certificate.windowFrom);
  return Math.max(first, certificate.at + shortestInterval(certificate));
}

async function simulate(
  seed: number,
  lifetime: number,
  shape: WindowShape,
): Promise<{ ca: SimulatedCa; lapses: string[]; restarts: number[]; end: number }> {
  const clock = new HeldClock(Date.UTC(2026, 10, 25));
  const random = drawing(seed);
  await using on = await setup(clock, { random, clockInterval: DAY });
  const ca = new SimulatedCa({ ca: on.ca, clock, random, lifetime, shape });
  const wanted = [{ names: ["example.org"], choice: { kind: "auto" } as const, issuers: [ca] }];
  const lapses: string[] = [];
  const restarts: number[] = [];
  let manager: CertificateManager = await on.open();
  let seen = "";
  let ends = Infinity;

  const look = async (): Promise<void> => {
    await ca.settled(manager.settled());
    if (ca.issued.length === 0) return;
    const served = manager.served();
    const [only] = served;
    if (only === undefined || served.length > 1) return void lapses.push("nothing is served");
    if (only.fingerprint !== seen) {
      seen = only.fingerprint;
      ends = only.origin === "stored" ? readPair(only.chain, only.key).notAfter : -Infinity;
    }
    if (ends <= clock.now()) lapses.push(`${new Date(clock.now()).toISOString()} ${only.origin}`);
  };

  await manager.configure(wanted);
  await clock.advance(0, look);
  const end = clock.now() + TWO_YEARS;
  while (clock.now() < end) {
    // Now and then on purpose while the CA is away.
    const until = clock.now() + random() * 40 * DAY;
    while (clock.now() < until && !(ca.suffers && random() < 1 / 15)) await clock.advance(12 * HOUR, look);
    await manager.close();
    clock.jump(random() * HOUR);
    restarts.push(clock.now());
    manager = await on.open();
    await manager.configure(wanted);
    await clock.advance(0, look);
  }
  return { ca, lapses, restarts, end };
}
