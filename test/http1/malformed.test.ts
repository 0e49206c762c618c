import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { ServerConnection } from "../../src/http1/server-connection.ts";
import type { MalformedCase } from "./malformed-case.ts";
import { MALFORMED } from "./malformed-corpus.ts";
import { pooled, quietOptions, recordInto, send, statusOf, type Seen } from "./wire.ts";

const TIMEOUT = { timeout: 60_000 };
const seenFrom = new Map<number, Seen[]>();
const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  const seen: Seen[] = [];
  seenFrom.set(socket.remotePort ?? 0, seen);
  assert.ok(new ServerConnection(socket, quietOptions(recordInto(seen))).persistent);
});
let port = 0;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => server.close());

void test("the corpus holds at least 300 distinct cases", () => {
  assert.ok(MALFORMED.length >= 300, `${MALFORMED.length} cases`);
  assert.equal(new Set(MALFORMED.map((one) => `${one.family}: ${one.name}`)).size, MALFORMED.length);
  assert.equal(new Set(MALFORMED.map((one) => one.bytes)).size, MALFORMED.length);
});

for (const family of new Set(MALFORMED.map((one) => one.family))) {
  const cases = MALFORMED.filter((one) => one.family === family);
  void test(`${family}: ${cases.length} cases`, TIMEOUT, async () => {
    const problems: string[] = [];
    await pooled(cases, 16, async (one) => {
      const whole = Buffer.from(one.bytes, "latin1");
      for (const parts of [[whole], splitAt(whole, 1), splitAt(whole, 2)]) {
        const problem = await breach(one, parts);
        if (problem !== "")
          problems.push(`${one.name} in ${parts.map((part) => part.length).join()}: ${problem}`);
      }
    });
    assert.deepEqual(problems, []);
  });
}

/** What is wrong with the answer; the empty string where nothing is. */
async function breach(one: MalformedCase, parts: readonly Buffer[]): Promise<string> {
  const reply = await send(port, parts, false);
  const seen = seenFrom.get(reply.port) ?? [];
  seenFrom.delete(reply.port);
  if (!reply.closed) return `the connection stayed open after ${JSON.stringify(reply.text)}`;
  if (statusOf(reply.text) !== one.status) return `${one.status} expected: ${JSON.stringify(reply.text)}`;
  if (!/\r\nconnection: close\r\n/.test(reply.text)) return "no connection: close";
  if ((reply.text.match(/HTTP\/1\.1 /g) ?? []).length !== 1) return "more than one response";
  if (!one.inBody) return seen.length === 0 ? "" : `reached the handler: ${JSON.stringify(seen)}`;
  const [first] = seen;
  if (seen.length !== 1 || first === undefined) return `${seen.length} exchanges`;
  if (first.ended !== 0) return "the body ended as if it were whole";
  return first.errors.join() === String(one.status) ? "" : `sink errors: ${first.errors.join()}`;
}

/** Two to four parts at places that look random and are the same in every run. */
function splitAt(whole: Buffer, seed: number): Buffer[] {
  let state = (whole.length * 2_654_435_761 + seed * 40_503) >>> 0;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const cuts = Array.from({ length: seed + 1 }, () => 1 + Math.floor(random() * (whole.length - 1)));
  cuts.sort((a, b) => a - b);
  return [...cuts, whole.length].map((cut, index) => whole.subarray(index === 0 ? 0 : cuts[index - 1], cut));
}
