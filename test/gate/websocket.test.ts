import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { WebSocket, type ClientOptions } from "ws";
import { Paddock } from "../parts/paddock.ts";
import { startUvicorn, type Uvicorn } from "../parts/uvicorn.ts";

for (const gunicorn of [false, true]) {
  describe(`WebSockets to Uvicorn ${gunicorn ? "under Gunicorn" : "by itself"}`, () => {
    let paddock: Paddock;
    let app: Uvicorn;
    let ca: string;

    before(async () => {
      paddock = await Paddock.start({
        yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
      });
      app = await startUvicorn({ socket: `${paddock.folder}/app.sock`, gunicorn });
      ca = await readFile(paddock.rootPath, "utf8");
    });

    after(async () => {
      await paddock.stop();
      await app.stop();
    });

    function open(path: string, protocols: string[] = []): WebSocket {
      const options: ClientOptions & { servername: string } = {
        ca,
        servername: "app.test",
        headers: { host: "app.test" },
      };
      return new WebSocket(`wss://127.0.0.1:${paddock.httpsPort}${path}`, protocols, options);
    }

    async function tunnels(): Promise<number> {
      const { body } = await paddock.plain(paddock.adminPort, "/metrics");
      const counts = [...body.toString().matchAll(/^paddock_tunnels\{[^}]*\} (\d+)$/gm)];
      return counts.reduce((sum, [, count]) => sum + Number(count), 0);
    }

    test("echoes text and bytes, with its subprotocol and the app's fields", async () => {
      const socket = open("/", ["chat"]);
      const [[response]] = (await Promise.all([once(socket, "upgrade"), once(socket, "open")])) as [
        [{ headers: Record<string, string> }],
        unknown,
      ];
      assert.equal(response.headers["x-app"], "uvicorn");
      assert.equal(response.headers["strict-transport-security"]?.startsWith("max-age="), true);
      assert.equal(socket.protocol, "chat");
      for (const text of ["one", "ü", "x".repeat(100_000)]) {
        socket.send(text);
        const [echo] = (await once(socket, "message")) as [Buffer];
        assert.equal(echo.toString(), text);
      }
      const bytes = Buffer.alloc(900_000, 7);
      socket.send(bytes);
      assert.ok(bytes.equals(((await once(socket, "message")) as [Buffer])[0]));
      await paddock.until("the tunnel to be counted", async () => (await tunnels()) === 1);
      socket.send("close");
      assert.equal(((await once(socket, "close")) as [number])[0], 4000);
      await paddock.until("the tunnel to be gone", async () => (await tunnels()) === 0);
      await paddock.until("a line in the log", () => /"status":101/.test(paddock.output));
    });

    test("a refusal of the app is an ordinary answer", async () => {
      const socket = open("/deny/");
      const [error] = (await once(socket, "error")) as [Error];
      assert.match(error.message, /403/);
    });

    test("is kept through a reload, in place and with new workers", async () => {
      const socket = open("/");
      await once(socket, "open");
      let closed = false;
      socket.on("close", () => (closed = true));
      const echo = async (text: string): Promise<void> => {
        socket.send(text);
        assert.equal(((await once(socket, "message")) as [Buffer])[0].toString(), text);
      };
      assert.equal((await paddock.command("reload")).code, 0);
      await echo("in place");
      await paddock.edit((yaml) => yaml.replace("workers: 2", "workers: 1"));
      const { stdout } = await paddock.command("reload");
      assert.match(stdout, /replaced/);
      await echo("replaced");
      assert.equal(closed, false);
      socket.close();
      await once(socket, "close");
    });

    test("a client that does not read stops the app", async () => {
      const socket = open("/");
      await once(socket, "open");
      socket.pause();
      // Far more than all buffers on the way: the app's own limit is a message, so many of them.
      for (let count = 0; count < 40; count++) socket.send("big 1000000");
      const received: number[] = [];
      const all = new Promise<void>((resolve) => {
        socket.on("message", (data: Buffer) => {
          received.push(data.length);
          if (received.length === 40) resolve();
        });
      });
      const { body } = await paddock.plain(paddock.adminPort, "/healthz");
      assert.equal(body.toString(), "ok\n");
      socket.resume();
      await all;
      assert.deepEqual(new Set(received), new Set([1_000_000]));
      socket.close();
      await once(socket, "close");
    });

    test("over HTTP/2 by extended CONNECT", async () => {
      const session: ClientHttp2Session = connectHttp2(`https://127.0.0.1:${paddock.httpsPort}`, {
        ca,
        servername: "app.test",
      });
      const [settings] = (await once(session, "remoteSettings")) as [{ enableConnectProtocol: boolean }];
      assert.equal(settings.enableConnectProtocol, true);
      const stream = session.request({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "https",
        ":path": "/",
        ":authority": "app.test",
        "sec-websocket-version": "13",
        "sec-websocket-protocol": "chat",
      });
      const [headers] = (await once(stream, "response")) as [Record<string, string | number>];
      assert.equal(headers[":status"], 200);
      assert.equal(headers["sec-websocket-protocol"], "chat");
      assert.equal(headers["sec-websocket-accept"], undefined);
      // A masked text frame "hi" (RFC 6455 section 5.7); the echo comes unmasked.
      const mask = Buffer.from([1, 2, 3, 4]);
      const payload = Buffer.from("hi").map((byte, at) => byte ^ (mask[at] as number));
      stream.write(Buffer.concat([Buffer.from([0x81, 0x82]), mask, payload]));
      const [echo] = (await once(stream, "data")) as [Buffer];
      assert.deepEqual([...echo], [0x81, 2, ...Buffer.from("hi")]);
      stream.end();
      await once(stream, "close");
      session.close();
      await paddock.until("the tunnel to be gone", async () => (await tunnels()) === 0);
    });
  });
}

describe("streams and ends", () => {
  let paddock: Paddock;
  let app: Uvicorn;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
upstreams: { app: { to: ["unix:${folder}/app.sock"], responseTimeout: 500ms } }
sites:
  - names: [app.test]
    upstream: app`,
    });
    app = await startUvicorn({ socket: `${paddock.folder}/app.sock` });
  });

  after(async () => {
    await paddock.stop();
    await app.stop();
  });

  test("a quiet event stream is not cut, though it is silent for longer than responseTimeout", async () => {
    const { status, body } = await paddock.get("/events/", { host: "app.test" });
    assert.equal(status, 200);
    assert.equal(body.toString(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
  });

  test("an open WebSocket does not hold up the end of the daemon", async () => {
    const options: ClientOptions & { servername: string } = {
      ca: await readFile(paddock.rootPath, "utf8"),
      servername: "app.test",
      headers: { host: "app.test" },
    };
    const socket = new WebSocket(`wss://127.0.0.1:${paddock.httpsPort}/`, options);
    await once(socket, "open");
    const closed = once(socket, "close");
    process.kill(paddock.pid, "SIGTERM");
    await closed;
    await paddock.until("the end", () => paddock.output.includes('"ended"'), 20);
  });
});

describe("what is no WebSocket", () => {
  let paddock: Paddock;
  let app: Uvicorn;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
    });
    app = await startUvicorn({ socket: `${paddock.folder}/app.sock` });
  });

  after(async () => {
    await paddock.stop();
    await app.stop();
  });

  for (const [what, head] of [
    ["h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"],
    ["two protocols", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"],
    ["two Upgrade fields", "Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"],
    ["Upgrade that Connection does not name", "Upgrade: websocket\r\n"],
  ] as const) {
    test(`${what}: passed on as the plain request that it also is`, async () => {
      const socket = connect({
        host: "127.0.0.1",
        port: paddock.httpsPort,
        servername: "app.test",
        rejectUnauthorized: false,
      });
      socket.write(
        `GET /plain/ HTTP/1.1\r\nHost: app.test\r\nSec-WebSocket-Key: x\r\n${head}\r\nGET /second/ HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n`,
      );
      let text = "";
      socket.setEncoding("latin1").on("data", (part: string) => (text += part));
      await once(socket, "close");
      assert.equal(text.split("HTTP/1.1 200 OK").length - 1, 2, text);
      assert.ok(text.includes("/plain/") && text.includes("/second/"));
    });
  }
});
