import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { CompressedResponse } from "../../src/handlers/compression/compressed-response.ts";
import { compression } from "../../src/handlers/compression.ts";
import { proxy } from "../../src/handlers/proxy.ts";
import type { ResponseSink } from "../../src/upstream/connection-events.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { CODINGS, decode, GrowingDecoder } from "./decode.ts";
import { Recorder } from "./recorder.ts";

async function until(condition: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !condition(); ) {
    if (Date.now() > end) throw new Error("waited in vain");
    await nextTurn();
  }
}

for (const coding of CODINGS) {
  for (const hidesLength of [false, true]) {
    const name = `${coding}${hidesLength ? ", length hidden" : ""}`;

    void test(`${name}: each chunk can be decoded before the next one is written`, async () => {
      const recorder = new Recorder();
      const response = new CompressedResponse(recorder.exchange, recorder.exchange, coding, hidesLength);
      const decoder = new GrowingDecoder(coding);
      response.begin(200, [], -1);
      for (let number = 0; number < 4; number++) {
        const before = recorder.parts.length;
        response.write(Buffer.from(`chunk ${number}\n`));
        await until(() => recorder.parts.length > before);
        for (const part of recorder.parts.slice(before)) await decoder.write(part);
        assert.match(decoder.text, new RegExp(`chunk ${number}\n$`));
      }
      response.finish();
      await recorder.settled();
      assert.equal(recorder.length, -1);
      assert.equal(decode(coding, recorder.body).toString(), "chunk 0\nchunk 1\nchunk 2\nchunk 3\n");
    });
  }

  void test(`${coding}: lengths of one body differ by the padding, and only where it is asked for`, async () => {
    const body = Buffer.from("<p>The same page for everybody.</p>\n".repeat(200));
    const lengths = async (hidesLength: boolean): Promise<Set<number>> => {
      const seen = new Set<number>();
      for (let turn = 0; turn < 40; turn++) {
        const recorder = new Recorder();
        const response = new CompressedResponse(recorder.exchange, recorder.exchange, coding, hidesLength);
        response.begin(200, [], body.length);
        response.write(body);
        response.finish();
        await recorder.settled();
        assert.deepEqual(decode(coding, recorder.body), body);
        seen.add(recorder.body.length);
      }
      return seen;
    };
    const [plain = 0, ...others] = await lengths(false);
    assert.deepEqual(others, []);
    const padded = [...(await lengths(true))];
    assert.ok(padded.length > 10, `${padded.length} different lengths of 40`);
    assert.ok(padded.every((length) => length > plain && length <= plain + 110));
  });
}

void test("a client that does not read stops the app after a bounded number of bytes", async () => {
  const recorder = new Recorder();
  recorder.flowing = () => false;
  const response = new CompressedResponse(recorder.exchange, recorder.exchange, "gzip", false);
  response.begin(200, [], -1);
  let taken = 0;
  let drained = 0;
  response.onDrain = () => drained++;
  const fill = async (): Promise<void> => {
    for (;;) {
      const before = drained;
      const flowing = response.write(randomBytes(16 * 1024));
      taken += 16 * 1024;
      for (let turn = 0; turn < 20; turn++) await nextTurn();
      if (!flowing && drained === before) return;
      assert.ok(taken < 10_000_000, "it never stops");
    }
  };
  await fill();
  await until(() => recorder.parts.length > 0);
  // One batch with the client, one in the queue.
  assert.ok(taken <= 256 * 1024, `${taken} bytes taken`);
  const [parts, before] = [recorder.parts.length, taken];
  recorder.onDrain?.();
  await until(() => recorder.parts.length > parts);
  await until(() => drained > 0);
  await fill();
  assert.ok(taken > before);
});

void test("a client that goes ends it: the handler is told, nothing is written any more", async () => {
  const recorder = new Recorder();
  let told = 0;
  recorder.onClose = () => told++;
  const response = new CompressedResponse(recorder.exchange, recorder.exchange, "br", false);
  response.begin(200, [], -1);
  response.write(randomBytes(50_000));
  await nextTurn();
  recorder.onClose();
  assert.equal(told, 1);
  const parts = recorder.parts.length;
  response.write(randomBytes(50_000));
  response.finish();
  for (let turn = 0; turn < 200; turn++) await nextTurn();
  assert.equal(recorder.parts.length, parts);
  assert.ok(!recorder.finished && !recorder.aborted);
});

void test("a client that goes while the last bytes are compressed takes no connection to the app with it", async () => {
  const recorder = Object.assign(new Recorder(["accept-encoding", "gzip"]), {
    target: "/",
    host: "app.test",
    bodyLength: 0,
  });
  let sink: ResponseSink | undefined;
  let destroyed = 0;
  const connection = {
    send: (_method: string, _head: string, _body: null, given: ResponseSink) => (sink = given),
    finish: () => undefined,
    destroy: () => destroyed++,
  };
  const upstream = {
    admission: {
      enter: (applicant: { admitted(): void }) => applicant.admitted(),
      leave: () => undefined,
      cancel: () => undefined,
    },
    hold: { cancel: () => undefined },
    take: () => ({ backend: { inFlight: 1 }, connection }),
  };
  const counted: string[] = [];
  const answer = (): ResponseSink => {
    proxy(recorder.exchange, {
      upstream: upstream as unknown as Upstream,
      maxBody: 0,
      bufferRequest: null,
      bufferResponse: null,
      internal: [],
      finishFields: () => undefined,
      filter: compression,
      counted: (outcome) => counted.push(outcome),
      serverTiming: false,
      tunnelled: () => undefined,
    });
    assert.ok(sink);
    sink.head({ status: 200, fields: ["content-type", "text/html"], bodyLength: 5000, keepAlive: true });
    return sink;
  };
  const app = answer();
  app.data(Buffer.alloc(5000, "a"));
  app.end();
  assert.ok(recorder.onClose, "the filter wants to know");
  recorder.onClose();
  assert.equal(destroyed, 0, "the connection may carry another request by now");
  assert.deepEqual(counted, ["ok"]);

  answer().data(Buffer.alloc(2000, "a"));
  recorder.onClose();
  assert.equal(destroyed, 1, "and before the end it is broken off");
  assert.deepEqual(counted, ["ok", "client_gone"]);
  for (let turn = 0; turn < 200; turn++) await nextTurn();
  assert.equal(recorder.parts.length, 0);
});

void test("a handler that breaks off after the head went out breaks the response, too", async () => {
  const recorder = new Recorder();
  const response = new CompressedResponse(recorder.exchange, recorder.exchange, "zstd", false);
  response.begin(200, [], 100_000);
  response.write(randomBytes(50_000));
  await until(() => recorder.status !== 0);
  response.abort();
  assert.ok(recorder.aborted);
});

void test("a body that is shorter than its Content-Length is no whole one", async () => {
  const recorder = new Recorder();
  const response = new CompressedResponse(recorder.exchange, recorder.exchange, "zstd", false);
  response.begin(200, [], 5000);
  response.write(Buffer.alloc(4000, "a"));
  response.finish();
  await recorder.settled();
  assert.ok(recorder.aborted && !recorder.finished);
  assert.match(recorder.failure, /4000 bytes and not the 5000/);
});

void test("nothing follows an error page that was sent while the head was held back", async () => {
  for (const parts of [1, 2]) {
    const recorder = new Recorder();
    const response = new CompressedResponse(recorder.exchange, recorder.exchange, "gzip", false);
    response.begin(200, [], 2000 * parts);
    response.write(Buffer.alloc(2000, "a"));
    // Before the thread pool has answered, or even been asked.
    if (parts === 1) await Promise.resolve();
    recorder.begin(502, [], 0);
    recorder.finish();
    response.finish();
    for (let turn = 0; turn < 200; turn++) await nextTurn();
    assert.equal(recorder.status, 502);
    assert.equal(recorder.parts.length, 0);
  }
});
