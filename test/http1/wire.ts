import { createConnection } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import type { Exchange } from "../../src/exchange/exchange.ts";
import type { ServerConnectionOptions } from "../../src/exchange/server-options.ts";

/** What a handler saw of one request. */
export interface Seen {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly string[];
  body: string;
  ended: number;
  /** The statuses of the sink's errors. */
  readonly errors: number[];
}

/** Notes each exchange in `seen`, reads its body, and answers 200 with the body or the status of its breach. */
export function recordInto(seen: Seen[]): (exchange: Exchange) => void {
  return (exchange) => {
    const { method, target, host, fields } = exchange;
    const entry: Seen = { method, target, host, fields, body: "", ended: 0, errors: [] };
    seen.push(entry);
    exchange.readBody({
      data: (data) => {
        entry.body += data.toString("latin1");
      },
      end: () => {
        entry.ended++;
        exchange.respond(200, [], Buffer.from(entry.body, "latin1"));
      },
      error: (status) => {
        entry.errors.push(status);
        exchange.respond(status, [], null);
      },
    });
  };
}

/** Options of a connection whose deadlines play no part. */
export function quietOptions(handle: (exchange: Exchange) => void): ServerConnectionOptions {
  return {
    clientAddress: "192.0.2.1",
    secure: false,
    serverName: "",
    timeouts: { requestHead: 60_000, keepAlive: 60_000, body: 60_000, write: 60_000 },
    sent: () => 0,
    deadlines,
    handle,
    refused: () => {},
    closed: () => {},
  };
}

const deadlines = new Deadlines(60_000);

export interface Reply {
  readonly text: string;
  /** The local port that the request came from. */
  readonly port: number;
  /** Whether the server closed, rather than the clock. */
  readonly closed: boolean;
}

/** Sends the parts, each in a packet as far as the kernel lets it, and reads until the server closes. */
export function send(port: number, parts: readonly Buffer[], half: boolean, wait = 10_000): Promise<Reply> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    let text = "";
    let local = 0;
    const settle = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, port: local, closed });
    };
    const timer = setTimeout(() => settle(false), wait);
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    socket.on("end", () => settle(true));
    socket.on("error", () => settle(true));
    socket.on("close", () => settle(true));
    socket.on("connect", () => {
      local = socket.localPort ?? 0;
      void writeAll();
    });
    async function writeAll(): Promise<void> {
      for (const part of parts) {
        if (!socket.writable) return;
        socket.write(part);
        await turn();
        await turn();
      }
      if (half) socket.end();
    }
  });
}

export function statusOf(text: string): number {
  const match = /^HTTP\/1\.1 (\d{3}) /.exec(text);
  return match === null ? 0 : Number(match[1]);
}

/** Runs `work` over the items, so many at once. */
export async function pooled<T>(
  items: readonly T[],
  size: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: size }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
