import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  codingWeights,
  preferredCoding,
  type Compression,
} from "../../src/handlers/static/content-coding.ts";

const ORDER = ["zstd", "br", "gzip"] as const;

/** A weight as RFC 9110 section 12.4.2 writes it, and its value. */
const weight = fc
  .tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 3 }))
  .map(([thousandths, digits]) => {
    const text = (thousandths / 1000).toFixed(digits);
    return { text, value: Number(text) };
  });

const member = fc.record({
  coding: fc.constantFrom("gzip", "br", "zstd", "identity", "*", "deflate"),
  weight: fc.option(weight, { nil: undefined }),
});

/** Each coding at most once: what a second mention means, the RFC does not say. */
const members = fc.uniqueArray(member, { selector: ({ coding }) => coding, maxLength: 6 });

function write(list: readonly (typeof member extends fc.Arbitrary<infer T> ? T : never)[]): string {
  return list
    .map(({ coding, weight }) => (weight === undefined ? coding : `${coding};q=${weight.text}`))
    .join(", ");
}

void test("the choice is one of those with the highest weight, the first in the server's order, never one of weight 0", () => {
  fc.assert(
    fc.property(members, fc.shuffledSubarray([...ORDER], { minLength: 1 }), (list, order) => {
      const value = (coding: string): number | undefined => {
        const found = list.find((one) => one.coding === coding);
        return found === undefined ? undefined : (found.weight?.value ?? 1);
      };
      const weightOf = (coding: string): number => value(coding) ?? value("*") ?? 0;
      const chosen = preferredCoding(codingWeights(write(list)), order);
      const best = Math.max(...order.map(weightOf));
      if (chosen === null) {
        assert.ok(best === 0 || (value("identity") ?? 0) > best, write(list));
        return;
      }
      assert.ok(best > 0 && best >= (value("identity") ?? 0), write(list));
      assert.equal(
        chosen,
        order.find((coding) => weightOf(coding) === best),
        write(list),
      );
    }),
    { numRuns: 2000 },
  );
});

void test("order, case and white space of the field do not matter", () => {
  const blank = fc.constantFrom("", " ", "\t", "  ");
  fc.assert(
    fc.property(
      members,
      fc.array(blank, { minLength: 4, maxLength: 4 }),
      fc.boolean(),
      (list, blanks, upper) => {
        const [a = "", b = "", c = "", d = ""] = blanks;
        const text = list
          .toReversed()
          .map(({ coding, weight }) =>
            weight === undefined ? `${a}${coding}${b}` : `${a}${coding}${b};${c}q=${weight.text}${d}`,
          )
          .join(",");
        const plain = preferredCoding(codingWeights(write(list)), ORDER);
        assert.equal(preferredCoding(codingWeights(upper ? text.toUpperCase() : text), ORDER), plain, text);
      },
    ),
  );
});

void test("no text breaks it: what is malformed counts as absent", () => {
  const CHARS = Array.from('gzipbrstd*q=;, \t.01"\\x-\x80\xff');
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...CHARS), maxLength: 40 }), members, (noise, list) => {
      const allowed: (Compression | null)[] = [null, ...ORDER];
      assert.ok(allowed.includes(preferredCoding(codingWeights(noise), ORDER)));
      const broken = "gzip;q=2, br;q, zstd;q=0.1234, gzip q=1, br;level=1, =";
      assert.equal(preferredCoding(codingWeights(broken), ORDER), null);
      const without = list.filter(({ coding }) => coding !== "gzip");
      assert.deepEqual(
        codingWeights(`gzip;q=2${without.length > 0 ? ", " : ""}${write(without)}`),
        codingWeights(without.length > 0 ? write(without) : "x"),
      );
    }),
  );
});

void test("what real clients send", () => {
  const cases: [string | undefined, Compression | null][] = [
    ["gzip, deflate, br, zstd", "zstd"],
    ["gzip, deflate, br", "br"],
    ["deflate, gzip, br, zstd", "zstd"],
    ["gzip, deflate", "gzip"],
    ["gzip;q=1.0, *;q=0", "gzip"],
    ["identity;q=1, *;q=0", null],
    ["identity", null],
    ["", null],
    [undefined, null],
    ["*", "zstd"],
    ["gzip, identity", "gzip"],
    ["gzip;q=0.5, identity", null],
    ["identity;q=0, gzip;q=0.1", "gzip"],
    ["br;q=0.9, gzip", "gzip"],
    ["x-gzip", "gzip"],
  ];
  for (const [field, coding] of cases)
    assert.equal(preferredCoding(codingWeights(field), ORDER), coding, String(field));
});
