import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { DIFFERENCES_PATH, findDifferences, renderDifferences } from "./parser-differences.ts";

void test("every case that Node's parser treats otherwise is listed with its reason", {
  timeout: 60_000,
}, async () => {
  const differences = await findDifferences();
  assert.ok(differences.length > 0);
  assert.equal(readFileSync(DIFFERENCES_PATH, "utf8"), renderDifferences(differences));
});
