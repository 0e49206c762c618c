import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, connect as connectTcp, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connect as connectTls, TLSSocket } from "node:tls";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import type { Exchange } from "../../src/exchange/exchange.ts";
import { sentBytes } from "../../src/exchange/sent-bytes.ts";
import { ServerConnection } from "../../src/http1/server-connection.ts";
import { quietOptions } from "./wire.ts";

/** Far more than the kernel holds of it. */
const BODY = Buffer.alloc(600_000, "x");
/** Bytes a second: nearly five seconds for what the kernel does not hold. */
const RATE = 100_000;
/** Milliseconds; the kernel takes a part of its buffer at a time, here every 0.7 s. */
const WRITE = 1_500;

const RESPONSES: Readonly<Record<string, (exchange: Exchange) => void>> = {
  "a response whose last write waits": (exchange) => exchange.respond(200, [], BODY),
  "a response that is not over": (exchange) => {
    exchange.begin(200, [], BODY.length + 1);
    exchange.onDrain = () => {
      exchange.write(Buffer.from("."));
      exchange.finish();
    };
    exchange.write(BODY);
  },
};

interface Read {
  readonly got: number;
  readonly expected: number;
  /** The server has given the connection up while the client was still there. */
  readonly cut: boolean;
}

async function read(respond: (exchange: Exchange) => void, stopAfter: number | null): Promise<Read> {
  const deadlines = new Deadlines(100);
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    accepted.resolve(socket);
    void new ServerConnection(socket, {
      ...quietOptions(respond),
      deadlines,
      sent: () => sentBytes(socket),
      timeouts: { requestHead: 10_000, keepAlive: 1_000, body: 10_000, write: WRITE },
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const more = stopAfter === null ? [] : [String(stopAfter)];
  const script = join(import.meta.dirname, "../parts/slow_reader.py");
  const client = spawn("/usr/bin/python3", [script, String(port), String(RATE), ...more]);
  let output = "";
  client.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = once(client, "close");
  const socket = await accepted.promise;
  let clientThere = true;
  client.on("exit", () => (clientThere = false));
  const closed = once(socket, "close").then(() => clientThere);
  let cut = false;
  if (stopAfter !== null) {
    cut = await closed;
    client.stdin.end();
  }
  await ended;
  socket.destroy();
  server.close();
  deadlines.close();
  const [got, expected] = output.split(" ").map(Number);
  return { got: got as number, expected: expected as number, cut };
}

describe("a client that reads slowly", { concurrency: true }, () => {
  for (const [what, respond] of Object.entries(RESPONSES)) {
    test(`gets the whole of ${what}, though no write is done in time`, async () => {
      const { got, expected } = await read(respond, null);
      assert.equal(got, expected);
    });

    test(`is cut where it reads nothing more of ${what}`, async () => {
      const { got, expected, cut } = await read(respond, 50_000);
      assert.ok(got < expected);
      assert.equal(cut, true);
    });
  }
});

test("what the kernel has taken is told for a connection under TLS, too", async () => {
  const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=a -keyout - -out -";
  const pem = execFileSync("openssl", options.split(" "), { stdio: ["ignore", "pipe", "ignore"] });
  const accepted = Promise.withResolvers<{ transport: Socket; secured: TLSSocket }>();
  const server = createServer((transport) => {
    accepted.resolve({
      transport,
      secured: new TLSSocket(transport, { isServer: true, key: pem, cert: pem }),
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const tcp = connectTcp(port, "127.0.0.1");
  const client = connectTls({ socket: tcp, rejectUnauthorized: false });
  const { transport, secured } = await accepted.promise;
  await once(client, "secureConnect");
  const length = 40_000_000;
  const written = new Promise<void>((resolve) => secured.write(Buffer.alloc(length), () => resolve()));
  // Until the kernel takes no more.
  let last = -1;
  while (sentBytes(transport) !== last) {
    last = sentBytes(transport);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(last > 0 && last < length, `${last}`);
  client.resume();
  await written;
  assert.ok(sentBytes(transport) > length);
  client.destroy();
  secured.destroy();
  server.close();
});
