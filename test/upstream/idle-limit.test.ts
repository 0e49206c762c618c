import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleLimit } from "../../src/upstream/idle-limit.ts";

const NOW = 1_000_000;

test("a Keep-Alive field says how long", () => {
  const limit = new IdleLimit();
  assert.ok(limit.allows(60_000, NOW));
  limit.learn("timeout=5, max=100");
  assert.ok(limit.allows(3900, NOW));
  assert.ok(!limit.allows(4100, NOW), "not to the last moment");
  limit.learn("max=100");
  assert.ok(!limit.allows(4100, NOW));
});

test("closes of the app say how long, but a restart does not", () => {
  const limit = new IdleLimit();
  // A restart: all at once, after any idle time.
  for (const idle of [10, 700, 20]) limit.observe(idle, NOW);
  assert.ok(limit.allows(60_000, NOW));
  limit.observe(2000, NOW + 5000);
  assert.ok(limit.allows(1500, NOW + 5001));
  assert.ok(!limit.allows(1900, NOW + 5001), "Gunicorn's two seconds");
  limit.observe(30, NOW + 9000);
  assert.ok(limit.allows(1500, NOW + 9001), "one early close changes nothing");
  assert.ok(limit.allows(60_000, NOW + 100_000), "forgotten when it is not seen any more");
});
