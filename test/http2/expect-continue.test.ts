import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { startApp, type App } from "../parts/app.ts";
import { FRAME, END_STREAM, RawHttp2, frame } from "../parts/http2-frames.ts";
import { Paddock } from "../parts/paddock.ts";

describe("a request that expects 100-continue over HTTP/2", () => {
  let paddock: Paddock;
  let app: App;
  let client: RawHttp2;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock
    maxBody: 1KB`,
    });
    app = await startApp(`${paddock.folder}/app.sock`);
    const ca = await readFile(paddock.rootPath);
    client = await RawHttp2.open({ port: paddock.httpsPort, host: "app.test", ca });
  });

  after(async () => {
    client.close();
    await app.stop();
    await paddock.stop();
  });

  /** HEADERS frames of a stream; the status of the first is a literal or an index of HPACK's static table. */
  const heads = (stream: number): Buffer[] =>
    client.ofType(FRAME.HEADERS).flatMap((one) => (one.stream === stream ? [one.payload] : []));

  test("gets 100 before it sends the body, then its answer", async () => {
    client.send(client.request(1, "POST", "/", false, ["expect", "100-continue", "content-length", "5"]));
    assert.equal(await client.until(() => heads(1).length === 1), true);
    assert.equal(app.requests.length, 0);
    client.send(frame(FRAME.DATA, END_STREAM, 1, Buffer.from("hello")));
    assert.equal(await client.until(() => heads(1).length === 2), true);
    // RFC 7541 appendix A: the eighth entry is `:status: 200`.
    assert.equal(heads(1)[1]?.[0], 0x88);
    assert.equal(app.requests.length, 1);
  });

  test("gets no 100 where its body is too long", async () => {
    client.send(client.request(3, "POST", "/", false, ["expect", "100-continue", "content-length", "5000"]));
    const ended = (): boolean =>
      client.ofType(FRAME.DATA).some((one) => one.stream === 3 && (one.flags & END_STREAM) !== 0) ||
      client.resets(3).length > 0;
    assert.equal(await client.until(ended), true);
    assert.equal(heads(3).length, 1, "the answer alone");
    assert.equal(app.requests.length, 1);
  });
});
