import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { CompressedResponse, SMALLEST } from "../../src/handlers/compression/compressed-response.ts";
import { CODINGS, decode } from "./decode.ts";
import { Recorder } from "./recorder.ts";

const WORDS = ["paddock", "gate", "<p>", "</p>\n", "field", "\u00e9"];

const text = fc
  .array(fc.constantFrom(...WORDS), { maxLength: 400 })
  .map((words) => Buffer.from(words.join(" ")));
const noise = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes));
const body = fc.oneof(text, noise, fc.constant(Buffer.alloc(300_000, "paddock ")));

void test("whatever the pieces, the pauses and the client's pace: what arrives decodes to what was written", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        coding: fc.constantFrom(...CODINGS),
        hidesLength: fc.boolean(),
        parts: fc.array(body, { maxLength: 6 }),
        knowsLength: fc.boolean(),
        pauses: fc.array(fc.nat({ max: 3 }), { maxLength: 6 }),
        stalls: fc.infiniteStream(fc.boolean()),
      }),
      async ({ coding, hidesLength, parts, knowsLength, pauses, stalls }) => {
        const recorder = new Recorder();
        const whole = Buffer.concat(parts);
        const response = new CompressedResponse(recorder.exchange, recorder.exchange, coding, hidesLength);
        const pace = stalls[Symbol.iterator]();
        recorder.flowing = () => {
          if (pace.next().value !== true) return true;
          setImmediate(() => recorder.onDrain?.());
          return false;
        };
        response.begin(200, ["etag", '"x"', "accept-ranges", "bytes"], knowsLength ? whole.length : -1);
        for (const [index, part] of parts.entries()) {
          const scratch = Buffer.from(part);
          const flowing = response.write(scratch, true);
          // A transient buffer is the caller's again at once.
          scratch.fill(0);
          if (!flowing) await new Promise<void>((resolve) => (response.onDrain = resolve));
          for (let turn = 0; turn < (pauses[index] ?? 0); turn++) await nextTurn();
        }
        response.finish();
        await recorder.settled();
        assert.ok(!recorder.aborted, recorder.failure);
        const encoding = recorder.field("content-encoding");
        assert.ok(encoding === undefined || encoding === coding);
        assert.deepEqual(decode(encoding, recorder.body), whole);
        assert.ok(recorder.length === -1 || recorder.length === recorder.body.length);
        assert.equal(recorder.field("etag"), encoding === undefined ? '"x"' : 'W/"x"');
        assert.equal(recorder.field("accept-ranges"), encoding === undefined ? "bytes" : undefined);
        // As it was: too small, or no smaller in the coding.
        if (encoding === undefined) assert.equal(recorder.length, whole.length);
        if (knowsLength && whole.length < SMALLEST && parts.length < 2) assert.equal(encoding, undefined);
      },
    ),
    { numRuns: 300 },
  );
});
