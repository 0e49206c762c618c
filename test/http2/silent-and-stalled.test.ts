import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect as connectTcp, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startApp, type App } from "../parts/app.ts";
import { FRAME, RawHttp2 } from "../parts/http2-frames.ts";
import { Paddock } from "../parts/paddock.ts";

const STREAMS = 100;
const RESPONSE = 5_000_000;
/**
 * Bytes per stream, of the five million of its response: half a megabyte of ours (memory, and what is on its way to
 * the file), what Node and the socket to the app hold, and as much again for garbage that nobody has collected yet.
 */
const MOST_PER_STREAM = 2_000_000;

describe("a client that is silent or does not read", () => {
  let paddock: Paddock;
  let app: App;
  let ca: Buffer;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
timeouts: { requestHead: 2s }
sites:
  - { names: [app.test], upstream: "unix:${folder}/app.sock", compress: false }
  - { names: [direct.test], upstream: "unix:${folder}/app.sock", compress: false, buffering: { response: false } }`,
    });
    app = await startApp(`${paddock.folder}/app.sock`);
    ca = await readFile(paddock.rootPath);
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  async function closed(socket: Socket, seconds: number): Promise<boolean> {
    if (socket.closed) return true;
    return await Promise.race([once(socket, "close").then(() => true), sleep(seconds * 1000, false)]);
  }

  test("is closed where no ClientHello comes", { timeout: 40_000 }, async () => {
    const socket = connectTcp(paddock.httpsPort, "127.0.0.1").on("error", () => undefined);
    socket.resume();
    await once(socket, "connect");
    assert.equal(await closed(socket, 30), true);
  });

  test("gets 408 for an HTTP/1.1 head that drips", { timeout: 40_000 }, async () => {
    const socket = connectTcp(paddock.httpPort, "127.0.0.1").on("error", () => undefined);
    let answer = "";
    socket.on("data", (data) => (answer += data.toString("latin1")));
    await once(socket, "connect");
    socket.write("GET / HTTP/1.1\r\nHost: app.test\r\nX-Long: ");
    const drip = setInterval(() => socket.write("v"), 100);
    try {
      assert.equal(await closed(socket, 30), true);
    } finally {
      clearInterval(drip);
    }
    assert.match(answer, /^HTTP\/1\.1 408 /);
  });

  async function resident(): Promise<number> {
    const children = await readFile(`/proc/${paddock.pid}/task/${paddock.pid}/children`, "utf8");
    let most = 0;
    for (const pid of children.trim().split(" ")) {
      const status = await readFile(`/proc/${pid}/status`, "utf8");
      most = Math.max(most, Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024);
    }
    return most;
  }

  for (const host of ["app.test", "direct.test"]) {
    test(`holds no more than the buffers of ${STREAMS} streams at ${host}`, { timeout: 60_000 }, async () => {
      const before = await resident();
      const asked = app.requests.length;
      const client = await RawHttp2.open({ port: paddock.httpsPort, host, ca, settings: [[4, 0]] });
      try {
        for (let index = 0; index < STREAMS; index++) {
          client.send(client.request(2 * index + 1, "GET", `/bytes/${RESPONSE}`));
        }
        const heads = (): number => client.ofType(FRAME.HEADERS).length;
        assert.equal(await client.until(() => heads() === STREAMS, 40_000), true, `${heads()} answers`);
        assert.equal(app.requests.length - asked, STREAMS);
        await sleep(2_000);
        const growth = (await resident()) - before;
        assert.ok(growth < STREAMS * MOST_PER_STREAM, `${growth} bytes more`);
        assert.equal(client.goaway, null);
      } finally {
        client.close();
      }
    });
  }
});
