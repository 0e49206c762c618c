import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { accessLine, type AccessEntry } from "../../src/logging/access-line.ts";

const entry: AccessEntry = {
  site: "app.test",
  client: "203.0.113.7",
  method: "GET",
  target: "/",
  host: "app.test",
  protocol: "HTTP/1.1",
  status: 200,
  bytes: 2048,
  seconds: 0.012,
  handler: "proxy",
  id: "0123456789abcdef0123456789abcdef",
  broken: false,
  cause: "",
};

test("is one line of JSON with pino's fields, whatever the request holds", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "binary" }),
      fc.string({ unit: "binary", minLength: 1 }),
      fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
      fc.boolean(),
      (target, host, cause, time, broken) => {
        const line = accessLine("info", time.getTime(), { ...entry, target, host, cause, broken });
        assert.equal(line.indexOf("\n"), line.length - 1);
        const { id, broken: saidBroken, ...rest } = JSON.parse(line) as Record<string, unknown>;
        const { id: givenId, broken: _, ...given } = entry;
        assert.equal(id, givenId);
        assert.equal(saidBroken, broken ? true : undefined);
        assert.deepEqual(rest, {
          level: "info",
          time: time.toISOString(),
          ...given,
          target: target.length > 2048 ? `${target.slice(0, 2048)}…` : target,
          host,
          cause,
          msg: "request",
        });
      },
    ),
  );
});

test("cuts a long target and says so", () => {
  const { target } = JSON.parse(accessLine("info", 0, { ...entry, target: `/${"a".repeat(5000)}` })) as {
    target: string;
  };
  assert.equal(target.length, 2049);
  assert.ok(target.endsWith("…"));
});
