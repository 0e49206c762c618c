import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GatheredLines } from "../../src/logging/gathered-lines.ts";

test("writes every line once, in order, in pages that are full but not longer", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 60 })), (texts) => {
      const lines = texts.map((text) => `${text.replaceAll("\n", " ").toWellFormed()}\n`);
      const pages: Buffer[] = [];
      const gathered = new GatheredLines({ write: (page) => pages.push(page) }, 64);
      for (const line of lines) gathered.write(line);
      gathered.flush();
      assert.equal(Buffer.concat(pages).toString(), lines.join(""));
      for (const page of pages) {
        assert.equal(page.at(-1), 10, "no line is cut");
        if (page.length > 64) assert.equal(page.indexOf(10), page.length - 1, "only a line alone is longer");
      }
    }),
  );
});

test("keeps what the stream still holds untouched", () => {
  const pages: Buffer[] = [];
  const gathered = new GatheredLines({ write: (page) => pages.push(page) }, 16);
  gathered.write("first\n");
  gathered.flush();
  gathered.write("other\n");
  gathered.flush();
  assert.deepEqual(pages.map(String), ["first\n", "other\n"]);
});
