import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from "node:http2";
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { startApp, startRawApp, type App } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;
const LARGEST_WINDOW = 2 ** 31 - 1;

describe("an HTTP/2 client that is too slow", () => {
  let paddock: Paddock;
  let app: App;
  let ca: Buffer;
  const sessions = new Set<ClientHttp2Session>();

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
timeouts: { body: 1s, write: 1s }
shutdownTimeout: 10m
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock
  - names: [raw.test]
    upstream: unix:${folder}/raw.sock
    buffering: { request: false }
    maxBody: 1MB`,
    });
    app = await startApp(`${paddock.folder}/app.sock`);
    ca = await readFile(paddock.rootPath);
  });

  afterEach(() => {
    for (const session of sessions) session.destroy();
    sessions.clear();
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  /** `window`: what the client lets the server send before it has read. */
  async function open(
    options: { host?: string; window?: number; port?: number } = {},
  ): Promise<ClientHttp2Session> {
    const { host = "app.test", window = 65_535, port = paddock.httpsPort } = options;
    const session = connectHttp2(`https://${host}:${paddock.httpsPort}`, {
      settings: { initialWindowSize: window },
      createConnection: () =>
        connectTls({ host: "127.0.0.1", port, servername: host, ca, ALPNProtocols: ["h2"] }),
    });
    session.on("error", () => undefined);
    sessions.add(session);
    await once(session, "connect");
    if (window > 65_535) session.setLocalWindowSize(window);
    return session;
  }

  /** Sends one byte now and then until the stream is closed. */
  function drip(stream: ClientHttp2Stream): void {
    const timer = setInterval(() => stream.write("x"), 100);
    stream.on("close", () => clearInterval(timer));
  }

  async function statusOf(stream: ClientHttp2Stream): Promise<number> {
    const [headers] = (await once(stream, "response")) as [{ ":status": number }];
    return headers[":status"];
  }

  async function whole(stream: ClientHttp2Stream): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    return Buffer.concat(parts);
  }

  test("gets 408 for a body that drips, and the app's connection is given up", async () => {
    let gone = false;
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket, data) => {
      if (data.startsWith("POST")) socket.on("close", () => (gone = true));
    });
    try {
      const session = await open({ host: "raw.test" });
      const stream = session.request({ ":method": "POST", ":path": "/" });
      drip(stream);
      assert.equal(await statusOf(stream), 408);
      stream.resume();
      await once(stream, "close");
      assert.equal(stream.rstCode, NGHTTP2_NO_ERROR, "the answer is whole");
      await paddock.until("the app to be left", () => gone);
      await paddock.until("the log line", () => paddock.output.includes("slower than 1 KB/s"));
    } finally {
      await raw.stop();
    }
  });

  test("gets RST_STREAM for a body that drips when the response has begun", async () => {
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket, head) => {
      if (head.startsWith("POST"))
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
    });
    try {
      const session = await open({ host: "raw.test" });
      const stream = session.request({ ":method": "POST", ":path": "/" });
      drip(stream);
      assert.equal(await statusOf(stream), 200);
      stream.resume();
      await assert.rejects(once(stream, "close"), /NGHTTP2_INTERNAL_ERROR/);
    } finally {
      await raw.stop();
    }
  });

  test("is not blamed for an app that reads slowly", async () => {
    let length = 0;
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket, data) => {
      if (length === 0) {
        socket.pause();
        setTimeout(() => socket.resume(), 3_000);
      }
      length += data.length;
      if (data.endsWith("END")) socket.end("HTTP/1.1 204 No Content\r\n\r\n");
    });
    try {
      const session = await open({ host: "raw.test" });
      const body = Buffer.alloc(1024 * 1024, "x");
      body.write("END", body.length - 3);
      const stream = session.request({ ":method": "POST", ":path": "/", "content-length": body.length });
      stream.end(body);
      assert.equal(await statusOf(stream), 204);
    } finally {
      await raw.stop();
    }
  });

  test("gets RST_STREAM where it gives no window, and its other streams go on", async () => {
    const session = await open();
    const stalled = session.request({ ":path": "/bytes/1000000" });
    assert.equal(await statusOf(stalled), 200);
    await assert.rejects(once(stalled, "close"), /NGHTTP2_INTERNAL_ERROR/);
    assert.equal(stalled.rstCode, NGHTTP2_INTERNAL_ERROR);
    assert.equal((await whole(session.request({ ":path": "/bytes/1000" }))).length, 1000);
    await paddock.until("the log line", () => paddock.output.includes("did not take the response in time"));
  });

  test("gets RST_STREAM where the end of a response that Paddock has whole finds no window", async () => {
    const session = await open({ window: 1000 });
    const stalled = session.request({ ":path": "/bytes/20000" });
    assert.equal(await statusOf(stalled), 200);
    await assert.rejects(once(stalled, "close"), /NGHTTP2_INTERNAL_ERROR/);
    assert.equal((await whole(session.request({ ":path": "/bytes/500" }))).length, 500);
  });

  test("cannot hold a stream without a window by reading another", async () => {
    const session = await open();
    const stalled = session.request({ ":path": "/bytes/1000000" });
    stalled.on("error", () => undefined);
    assert.equal(await statusOf(stalled), 200);
    while (!stalled.closed) {
      assert.equal((await whole(session.request({ ":path": "/bytes/300000" }))).length, 300_000);
    }
    assert.equal(stalled.rstCode, NGHTTP2_INTERNAL_ERROR);
  });

  test("loses its connection where the socket itself is stalled", async () => {
    // Between the two: takes from the server until it is told not to.
    let toServer: Socket | null = null;
    const relay = createServer((client) => {
      const server = connectTcp(paddock.httpsPort, "127.0.0.1");
      toServer = server;
      client.on("error", () => undefined).pipe(server);
      server.on("error", () => undefined).pipe(client);
      client.on("close", () => server.destroy());
    }).listen(0, "127.0.0.1");
    await once(relay, "listening");
    const { port } = relay.address() as AddressInfo;
    try {
      const connections = async (): Promise<number> => {
        const { body } = await paddock.plain(paddock.adminPort, "/metrics");
        return Number(/^paddock_connections\{listener="https"\} (\d+)$/m.exec(body.toString())?.[1]);
      };
      await paddock.until("earlier connections to close", async () => (await connections()) === 0);
      const session = await open({ window: LARGEST_WINDOW, port });
      assert.equal(await connections(), 1);
      const stream = session.request({ ":path": "/bytes/100000000" });
      stream.on("error", () => undefined);
      assert.equal(await statusOf(stream), 200);
      (toServer as Socket | null)?.unpipe().pause();
      await paddock.until("the connection to be closed", async () => (await connections()) === 0);
    } finally {
      (toServer as Socket | null)?.destroy();
      relay.close();
    }
  });

  test("does not keep a draining daemon by the rest of a body that nobody reads", async () => {
    // Answers without having read the body, when no more of it fits between the two.
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket) => {
      socket.pause();
      setTimeout(() => socket.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), 500);
    });
    try {
      const session = await open({ host: "raw.test" });
      const stream = session.request({ ":method": "POST", ":path": "/" });
      stream.on("error", () => undefined);
      stream.write(Buffer.alloc(900 * 1024));
      assert.equal(await statusOf(stream), 403);
      stream.resume();
      assert.equal(await paddock.stop({ keepFolder: true }), 0);
    } finally {
      await raw.stop();
    }
  });
});
