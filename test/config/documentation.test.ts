import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { configurationPage } from "../../docs/generate.ts";
import { ROOT } from "../../src/config/schema.ts";
import { isNested, type Section } from "../../src/config/section.ts";

const repository = join(import.meta.dirname, "../..");

void test("docs/configuration.md is what the schema says (npm run docs writes it)", () => {
  assert.equal(readFileSync(join(repository, "docs/configuration.md"), "utf8"), configurationPage());
});

void test("the commented sample shows every key that works in this version", () => {
  const sample = readFileSync(join(repository, "config/paddock.example.yaml"), "utf8");
  const keysOf = (section: Section): string[] =>
    Object.entries(section).flatMap(([key, entry]) => {
      return isNested(entry) ? [key, ...keysOf(entry.section)] : [key];
    });
  // Written as prose in the sample's comments, or left to the page.
  const elsewhere = ["cert", "key"];
  for (const key of keysOf(ROOT))
    if (!elsewhere.includes(key)) assert.match(sample, new RegExp(`\\b${key}:`), key);
});

void test("a variable is named after its key", () => {
  const visit = (section: Section, path: readonly string[]): void => {
    for (const [key, entry] of Object.entries(section)) {
      const words = [...path, key].map((word) =>
        word.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toUpperCase(),
      );
      if (entry.env !== undefined) assert.equal(entry.env, `PADDOCK_${words.join("_")}`);
      // The one site of the environment has no `sites` in front of its keys.
      if (isNested(entry)) visit(entry.section, key === "sites" ? [] : [...path, key]);
    }
  };
  visit(ROOT, []);
});
