import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import { Admission, type Applicant } from "../../src/upstream/admission.ts";

interface Seen extends Applicant {
  readonly name: string;
}

function scene(
  limit: number,
  queueLength = 100,
): {
  admission: Admission;
  log: string[];
  applicant: (clientAddress: string, name: string) => Seen;
} {
  const deadlines = new Deadlines(1_000_000);
  const admission = new Admission({ queueLength, queueTimeout: 1000 }, deadlines);
  admission.limit = limit;
  const log: string[] = [];
  const applicant = (clientAddress: string, name: string): Seen => ({
    clientAddress,
    name,
    admitted: () => log.push(name),
    refused: (why) => log.push(`${name}: ${why}`),
  });
  return { admission, log, applicant };
}

test("clients take turns, and one client's requests keep their order", () => {
  const { admission, log, applicant } = scene(1);
  for (const name of ["a1", "a2", "a3", "b1", "c1", "b2"])
    admission.enter(applicant(name[0] as string, name));
  for (let count = 0; count < 5; count++) admission.leave();
  assert.deepEqual(log, ["a1", "a2", "b1", "c1", "a3", "b2"]);
});

test("a full queue takes a newcomer in by refusing the last of the longest", () => {
  const { admission, log, applicant } = scene(0, 3);
  for (const name of ["a1", "a2", "a3"]) admission.enter(applicant("a", name));
  admission.enter(applicant("a", "a4"));
  admission.enter(applicant("b", "b1"));
  assert.deepEqual(log, ["a4: queue full", "a3: queue full"]);
  admission.limit = 10;
  assert.deepEqual(log.slice(2), ["a1", "b1", "a2"]);
});

test("one that went away does not take a place", () => {
  const { admission, log, applicant } = scene(1);
  const [first, second, third] = ["a1", "a2", "a3"].map((name) => applicant("a", name)) as [Seen, Seen, Seen];
  for (const one of [first, second, third]) admission.enter(one);
  assert.equal(admission.cancel(second), true);
  assert.equal(admission.cancel(first), false, "it is not waiting any more");
  admission.leave();
  assert.deepEqual(log, ["a1", "a3"]);
});

test("never more than the limit, nobody is forgotten, and the counts are right", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.record({ kind: fc.constant("enter" as const), client: fc.constantFrom("a", "b", "c") }),
          fc.record({ kind: fc.constantFrom("leave" as const, "cancel" as const) }),
          fc.record({ kind: fc.constant("limit" as const), limit: fc.integer({ min: 0, max: 5 }) }),
        ),
        { maxLength: 80 },
      ),
      (steps) => {
        const deadlines = new Deadlines(1_000_000);
        const admission = new Admission({ queueLength: 10, queueTimeout: 1000 }, deadlines);
        admission.limit = 2;
        let [entered, admitted, refused, left, cancelled] = [0, 0, 0, 0, 0];
        const waiting: Applicant[] = [];
        for (const step of steps) {
          const before = admission.inFlight;
          if (step.kind === "enter") {
            entered++;
            const one: Applicant = {
              clientAddress: step.client,
              admitted: () => {
                admitted++;
                assert.ok(admission.inFlight <= admission.limit);
              },
              refused: () => refused++,
            };
            admission.enter(one);
            waiting.push(one);
          } else if (step.kind === "leave" && before > 0) {
            left++;
            admission.leave();
          } else if (step.kind === "cancel") {
            const one = waiting.pop();
            if (one !== undefined && admission.cancel(one)) cancelled++;
          } else if (step.kind === "limit") {
            admission.limit = step.limit;
          }
          assert.equal(admission.inFlight, admitted - left);
          assert.equal(admission.waiting, entered - admitted - refused - cancelled);
          assert.equal(deadlines.size, admission.waiting);
          if (admission.waiting > 0) assert.ok(admission.inFlight >= admission.limit);
        }
        deadlines.close();
      },
    ),
  );
});
