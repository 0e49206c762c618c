import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fuzz } from "./run.ts";
import { TARGETS } from "./targets.ts";

/** The whole suite must stay short; PADDOCK_FUZZ_SECONDS=60 gives each parser a minute, `npm run fuzz` millions. */
const SECONDS = Number(process.env["PADDOCK_FUZZ_SECONDS"] ?? 5);
const SEED = Number(process.env["PADDOCK_FUZZ_SEED"] ?? 1);

describe("no bytes make a parser break its grammar", () => {
  for (const [name, target] of Object.entries(TARGETS)) {
    test(name, { timeout: (SECONDS + 30) * 1000 }, () => {
      const end = Date.now() + SECONDS * 1000;
      const { inputs, taken } = fuzz(target, SEED, (done) => done % 256 === 0 && Date.now() >= end);
      assert.ok(inputs > 0);
      assert.ok(taken > 0, "mutations leave some inputs valid, else the oracles were never asked");
    });
  }
});
