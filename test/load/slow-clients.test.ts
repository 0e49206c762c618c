import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock } from "../parts/paddock.ts";

const SLOW = 200;
const DOWNLOAD = 3_000_000;

describe("slow clients before two sync workers", () => {
  let paddock: Paddock;
  let gunicorn: Gunicorn;

  before(async () => {
    paddock = await Paddock.start({
      // The slow clients are to be held for as long as this machine needs for all of them.
      yaml: (folder) => `issuers: [{ local: true }]
timeouts: { body: 10m, write: 10m, keepAlive: 10m }
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
    });
    gunicorn = await startGunicorn({
      folder: paddock.folder,
      socket: `${paddock.folder}/app.sock`,
      workerClass: "sync",
    });
  });

  after(async () => {
    await gunicorn.stop();
    await paddock.stop();
  });

  async function open(): Promise<TLSSocket> {
    const socket = connect({
      host: "127.0.0.1",
      port: paddock.httpsPort,
      servername: "app.test",
      rejectUnauthorized: false,
    });
    socket.on("error", () => socket.destroy());
    await once(socket, "secureConnect");
    return socket;
  }

  async function ordinary(): Promise<void> {
    const { status } = await paddock.get("/whoami/", { host: "app.test" });
    assert.equal(status, 200);
  }

  test("200 slow uploads and 200 slow readers hold no worker, and all get what they came for", async () => {
    // Each upload brings its head and a part of its body, and then nothing for a while.
    const uploads = await Promise.all(
      Array.from({ length: SLOW }, async () => {
        const socket = await open();
        socket.write(
          `POST /upload/ HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n${"x".repeat(70_000)}`,
        );
        return socket;
      }),
    );
    // Each reader asks for a long response and does not read it.
    const readers = await Promise.all(
      Array.from({ length: SLOW }, async () => {
        const socket = await open();
        socket.pause();
        socket.write(`GET /bytes/${DOWNLOAD}/ HTTP/1.0\r\nHost: app.test\r\n\r\n`); // HTTP/1.0: no chunks
        return socket;
      }),
    );
    await paddock.until(
      "the app to have answered all readers",
      async () => {
        const { body } = await paddock.plain(paddock.adminPort, "/metrics");
        return (
          Number(
            /paddock_upstream_requests_total\{[^}]*outcome="ok"[^}]*\} (\d+)/.exec(body.toString())?.[1],
          ) >= SLOW
        );
      },
      60,
    );
    // Both workers of the app are free: with one slow client on each this would wait for ever.
    for (let count = 0; count < 20; count++) await ordinary();

    const uploaded = uploads.map(async (socket) => {
      const text = read(socket);
      socket.write("x".repeat(30_000));
      return (await text).toString("latin1");
    });
    for (const text of await Promise.all(uploaded)) {
      assert.match(text, /^HTTP\/1\.1 200 /);
      assert.match(text, /"length": 100000/);
    }
    const expected = Buffer.from(Array.from({ length: DOWNLOAD }, (_, at) => at % 251));
    for (const response of await Promise.all(readers.map(read)))
      assert.ok(expected.equals(response.subarray(response.indexOf("\r\n\r\n") + 4)), "byte for byte");
  });

  test("nothing stays on the disk", async () => {
    await sleep(100);
    const folder = `${paddock.folder}/store/buffers`;
    const workers = readdirSync(folder);
    assert.equal(workers.length, 2);
    for (const worker of workers) assert.deepEqual(readdirSync(`${folder}/${worker}`), []);
  });

  test("a body on a full disk is refused with 507, and the app hears nothing of it", async () => {
    // A folder that takes no more files stands for a disk that takes no more bytes.
    const folder = `${paddock.folder}/store/buffers`;
    for (const worker of readdirSync(folder)) rmSync(`${folder}/${worker}`, { recursive: true });
    const { status } = await paddock.get("/upload/", {
      host: "app.test",
      method: "POST",
      body: Buffer.alloc(200_000),
    });
    assert.equal(status, 507);
    await paddock.until("the log", () => /a body could not be written to/.test(paddock.output));
    const small = await paddock.get("/upload/", {
      host: "app.test",
      method: "POST",
      body: Buffer.alloc(2000),
    });
    assert.equal(small.status, 200, "what fits into the memory still goes through");
  });
});

async function read(socket: TLSSocket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on("data", (part: Buffer) => parts.push(part));
  socket.resume();
  await once(socket, "close");
  return Buffer.concat(parts);
}
