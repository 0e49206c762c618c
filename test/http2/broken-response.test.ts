import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { startRawApp } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

const run = promisify(execFile);

/** What curl says of a stream that was reset. */
const CURLE_HTTP2_STREAM = 92;

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

const BEGINNINGS: Readonly<Record<string, string>> = {
  "/length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
  "/chunked": `${CHUNKED}5\r\nhello\r\n`,
  "/head": CHUNKED,
};

describe("a response that the app breaks off looks broken over HTTP/2", () => {
  let paddock: Paddock;
  let raw: { stop(): Promise<void> };

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "unix:${folder}/raw.sock" }]`,
    });
    raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket, head) => {
      socket.write(BEGINNINGS[head.split(" ")[1] as string] as string);
      if (head.includes("x-pause: true")) setTimeout(() => socket.destroy(), 100);
      else socket.destroySoon();
    });
  });

  after(async () => {
    await raw.stop();
    await paddock.stop();
  });

  for (const path of Object.keys(BEGINNINGS)) {
    for (const pause of [true, false]) {
      test(`${path}, ${pause ? "after a while" : "at once"}`, async () => {
        const url = `https://app.test:${paddock.httpsPort}${path}`;
        const line = `-sS --http2 --max-time 10 --cacert ${paddock.rootPath} -H x-pause:${pause}`;
        const resolve = `app.test:${paddock.httpsPort}:127.0.0.1`;
        const curl = run("curl", [...line.split(" "), "--resolve", resolve, url]);
        await assert.rejects(curl, { code: CURLE_HTTP2_STREAM });
      });
    }
  }
});
