import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { startRawApp } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

const LINK = "</style.css>; rel=preload; as=style";

describe("what the app says before its answer, and how long it took", () => {
  let paddock: Paddock;
  let app: { stop(): Promise<void> };
  let ca: string;
  /** The app's connection, once it has sent its hints and before it answers. */
  let waiting: Socket | null = null;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock
    serverTiming: true
    headers: { Server-Timing: null }
  - names: [timed.test]
    upstream: unix:${folder}/app.sock
    serverTiming: true`,
    });
    // Gunicorn of Debian 12 sends no 103.
    app = await startRawApp(`${paddock.folder}/app.sock`, (socket) => {
      socket.write(`HTTP/1.1 103 Early Hints\r\nLink: ${LINK}\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n`);
      waiting = socket;
    });
    ca = await readFile(paddock.rootPath, "utf8");
  });

  after(async () => {
    await paddock.stop();
    await app.stop();
  });

  function answer(): void {
    waiting?.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer-Timing: db;dur=1\r\n\r\nok");
    waiting = null;
  }

  test("103 goes on at once over HTTP/1.1, end-to-end fields alone", async () => {
    const asked = request({
      host: "127.0.0.1",
      port: paddock.httpsPort,
      servername: "app.test",
      ca,
      headers: { host: "app.test" },
    });
    asked.end();
    const [hints] = (await once(asked, "information")) as [{ statusCode: number; rawHeaders: string[] }];
    assert.equal(hints.statusCode, 103);
    assert.deepEqual(hints.rawHeaders, ["link", LINK]);
    answer();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers["server-timing"], undefined, "headers: null removes it");
    response.resume();
    await once(response, "end");
  });

  test("103 goes on at once over HTTP/2, and Server-Timing stands beside the app's own", async () => {
    const session = connectHttp2(`https://127.0.0.1:${paddock.httpsPort}`, { ca, servername: "timed.test" });
    const stream = session.request({ ":path": "/", ":authority": "timed.test" });
    const [hints] = (await once(stream, "headers")) as [Record<string, string | number>];
    assert.equal(hints[":status"], 103);
    assert.equal(hints["link"], LINK);
    assert.equal(hints["x-hop"], undefined);
    answer();
    const [headers] = (await once(stream, "response")) as [Record<string, string | number>];
    assert.equal(headers[":status"], 200);
    assert.match(String(headers["server-timing"]), /^db;dur=1, paddock;dur=[\d.]+, app;dur=[\d.]+$/);
    stream.resume();
    await once(stream, "close");
    session.close();
  });
});
