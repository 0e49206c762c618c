import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectHttp2, constants } from "node:http2";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { EARLY_BODY, startEarlyApp, type EarlyApp } from "../parts/early-app.ts";
import { Paddock } from "../parts/paddock.ts";
import { freePorts } from "../parts/pebble.ts";

const run = promisify(execFile);

/** More than all buffers on the way to the app, and than one write. */
const UPLOAD = Buffer.alloc(6_000_000, "x");
const TIMES = 5;

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

for (const kind of ["unix", "tcp"] as const) {
  for (const buffered of [true, false]) {
    describe(`an app over ${kind} that answers before it has read a ${buffered ? "buffered" : "streamed"} body, and closes`, () => {
      let paddock: Paddock;
      let app: EarlyApp;

      before(async () => {
        const [port] = (await freePorts(1)) as [number];
        paddock = await Paddock.start({
          workers: 1,
          yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: ${kind === "unix" ? `unix:${folder}/app.sock` : `http://127.0.0.1:${port}`}
    buffering: { request: ${buffered} }`,
        });
        const { folder } = paddock;
        writeFileSync(`${folder}/log`, "");
        app = startEarlyApp(kind === "unix" ? `unix:${folder}/app.sock` : String(port), `${folder}/log`);
      });

      after(async () => {
        await app.stop();
        await paddock.stop();
      });

      test("a client that reads only when it has sent all gets the answer, over HTTP/1.1", async () => {
        for (let count = 0; count < TIMES; count++) {
          const { status, head, body } = await overHttp1(paddock.httpsPort);
          assert.equal(status, 413);
          assert.equal(body, EARLY_BODY);
          // Where the body is taken in first, it has been read to its end and the connection can go on.
          if (!buffered) assert.match(head, /^connection: close\r$/im);
        }
      });

      test("over HTTP/2, and the other streams of the connection go on", async () => {
        const session = connectHttp2(`https://127.0.0.1:${paddock.httpsPort}`, {
          servername: "app.test",
          rejectUnauthorized: false,
          // Megabytes; Node's client counts what it still has to send.
          maxSessionMemory: 100,
        });
        for (let count = 0; count < TIMES; count++) {
          const stream = session.request({ ":method": "POST", ":path": "/", ":authority": "app.test" });
          stream.end(UPLOAD);
          let body = "";
          stream.setEncoding("latin1").on("data", (text: string) => (body += text));
          const [headers] = (await once(stream, "response")) as [{ ":status": number }];
          await once(stream, "close");
          assert.equal(headers[":status"], 413);
          assert.equal(body, EARLY_BODY);
          assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
        }
        session.close();
      });

      for (const protocol of ["http1.1", "http2"]) {
        test(`curl gets it, over ${protocol}`, async () => {
          const { folder, httpsPort, rootPath } = paddock;
          writeFileSync(`${folder}/upload`, UPLOAD);
          const options = `--silent --show-error --max-time 20 --write-out %{http_code} --${protocol} --cacert ${rootPath} --resolve app.test:${httpsPort}:127.0.0.1 --data-binary @${folder}/upload`;
          const { stdout } = await run("curl", options.split(" ").concat(`https://app.test:${httpsPort}/`));
          assert.equal(stdout, `${EARLY_BODY}413`);
        });
      }

      test("nothing is left of it", async () => {
        await paddock.until("no request to be in flight", async () => {
          const { body } = await paddock.plain(paddock.adminPort, "/metrics");
          return /^paddock_http_requests_in_flight 0$/m.test(body.toString());
        });
        assert.doesNotMatch(paddock.output, /"status":50/);
      });
    });
  }
}

async function overHttp1(port: number): Promise<Answer> {
  const socket = connect({ host: "127.0.0.1", port, servername: "app.test", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  socket.pause();
  socket.write(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${UPLOAD.length}\r\n\r\n`);
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.write(UPLOAD, () => resolve());
  });
  let text = "";
  await new Promise<void>((resolve, reject) => {
    socket.setEncoding("latin1").on("data", (part: string) => {
      text += part;
      if (text.endsWith(EARLY_BODY)) resolve();
    });
    socket.on("close", () => reject(new Error(`closed after ${text.length} bytes: ${text.slice(0, 500)}`)));
    socket.resume();
  });
  socket.destroy();
  const end = text.indexOf("\r\n\r\n");
  return { status: Number(text.slice(9, 12)), head: text.slice(0, end + 2), body: text.slice(end + 4) };
}
