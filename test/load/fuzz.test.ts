import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { TARGETS } from "../fuzz/targets.ts";

const run = promisify(execFile);

/** By the clock, for all parsers at once; `npm run fuzz` gives one as much as it likes. */
const SECONDS = Number(process.env["PADDOCK_FUZZ_SECONDS"] ?? 60);
const SEED = Number(process.env["PADDOCK_FUZZ_SEED"] ?? 1);

describe("no bytes make a parser break its grammar", { concurrency: true }, () => {
  for (const name of Object.keys(TARGETS)) {
    test(name, { timeout: (SECONDS + 60) * 1000 }, async () => {
      const main = join(import.meta.dirname, "../fuzz/main.ts");
      const { stdout } = await run(process.execPath, [main, name, `${SECONDS}s`, String(SEED)]);
      const [inputs, taken, kept] = ["inputs from", "taken for valid", "inputs kept"].map((what) =>
        Number(new RegExp(`(\\d+) ${what}`).exec(stdout)?.[1]),
      ) as [number, number, number];
      assert.ok(inputs > 0, stdout);
      assert.ok(taken > 0, "mutations leave some inputs valid, else the oracles were never asked");
      assert.ok(kept > 0, "the coverage guides");
    });
  }
});
