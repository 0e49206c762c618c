import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { TokenBuckets } from "../../src/handlers/protection/token-buckets.ts";

const options = fc.record({
  requests: fc.integer({ min: 1, max: 50 }),
  per: fc.constantFrom(1000, 60_000),
  burst: fc.integer({ min: 0, max: 40 }),
});
const gaps = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 200 });

void test("never lets more through in any span than the rate and the burst", () => {
  fc.assert(
    fc.property(options, gaps, (limit, waits) => {
      const buckets = new TokenBuckets(limit);
      const passed: number[] = [];
      let now = 1000;
      for (const wait of waits) {
        now += wait;
        if (buckets.take("a", now) === 0) passed.push(now);
      }
      const rate = limit.requests / limit.per;
      for (const [first, from] of passed.entries())
        for (const [last, to] of passed.entries())
          if (last >= first)
            assert.ok(last - first + 1 <= (to - from) * rate + limit.burst + 1 + 1e-6, `${first}..${last}`);
    }),
  );
});

void test("lets through as soon as it said that it would, and not before", () => {
  fc.assert(
    fc.property(options, gaps, (limit, waits) => {
      const buckets = new TokenBuckets(limit);
      let now = 1000;
      for (const wait of waits) {
        now += wait;
        const refused = buckets.take("a", now);
        if (refused === 0) continue;
        assert.ok(refused > 0);
        if (refused > 1) assert.ok(buckets.take("a", now + refused - 0.5) > 0);
        now += refused + 0.001;
        assert.equal(buckets.take("a", now), 0);
      }
    }),
  );
});

void test("what another worker let through counts, and makes a debt that is paid back", () => {
  const limit = { requests: 10, per: 1000, burst: 9 };
  const buckets = new TokenBuckets(limit);
  for (let taken = 0; taken < 10; taken++) assert.equal(buckets.take("a", 0), 0);
  buckets.charge("a", 10, 0);
  assert.equal(buckets.take("a", 0), 1100);
  assert.ok(buckets.take("a", 1099) > 0);
  assert.equal(buckets.take("a", 1100), 0);
});

void test("two workers that tell each other ten times a second let the rate of one through in the long run", () => {
  const limit = { requests: 10, per: 1000, burst: 10 };
  const workers = [new TokenBuckets(limit), new TokenBuckets(limit)] as const;
  const passed = [0, 0];
  let all = 0;
  for (let now = 0; now < 60_000; now += 10) {
    for (const [index, worker] of workers.entries())
      if (worker.take("a", now) === 0) passed[index] = (passed[index] ?? 0) + 1;
    if (now % 100 !== 90) continue;
    for (const [index, worker] of workers.entries()) worker.charge("a", passed[1 - index] ?? 0, now);
    all += (passed[0] ?? 0) + (passed[1] ?? 0);
    passed.fill(0);
  }
  // A minute's worth, the burst, and once more the burst before they heard of each other.
  assert.ok(all >= 600 && all <= 600 + 2 * 11 + 2, String(all));
});

void test("keeps a bounded number of keys, the latest ones, and forgets full buckets", () => {
  const buckets = new TokenBuckets({ requests: 1, per: 1000, burst: 0 }, 100);
  for (let key = 0; key < 1000; key++) assert.equal(buckets.take(String(key), 0), 0);
  assert.equal(buckets.size, 100);
  assert.ok(buckets.take("999", 0) > 0);
  assert.equal(buckets.take("0", 0), 0);
  for (let key = 0; key < 150; key++) buckets.take(`new ${key}`, 5000 + 1500 * key);
  assert.ok(buckets.size <= 2, String(buckets.size));
});
