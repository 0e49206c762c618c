import {
  performServerHandshake,
  type Http2Session,
  type ServerHttp2Stream,
  type IncomingHttpHeaders,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Expiring } from "../exchange/deadlines.ts";
import { MessageError } from "../http1/problem.ts";
import type { ServerConnectionOptions } from "../http1/server-connection.ts";
import { readRequestHead, type RequestHead } from "./request-head.ts";
import { StreamExchange } from "./stream-exchange.ts";
import type { SessionWrites } from "./write-watch.ts";

/** HTTP/2 is spoken over TLS only; its keepAlive is the time without a stream. */
export type ServerSessionOptions = Omit<ServerConnectionOptions, "secure">;

/** Milliseconds in which a RST_STREAM of a few bytes leaves any socket that is not stalled. */
const RESET_LEAVES = 1_000;

const SETTINGS = {
  maxConcurrentStreams: 128,
  initialWindowSize: 256 * 1024,
  enablePush: false,
  enableConnectProtocol: true,
  maxHeaderListSize: 32 * 1024,
};

/** HTTP/2 (RFC 9113) on a socket whose handshake agreed on it; each stream becomes an Exchange. */
export class ServerSession implements Expiring, SessionWrites {
  deadline = Infinity;
  waiting = 0;
  readonly #socket: TLSSocket;
  readonly #session: Http2Session;
  readonly #options: ServerSessionOptions;
  #sentWhenSuspected = -1;

  constructor(socket: TLSSocket, options: ServerSessionOptions) {
    this.#socket = socket;
    this.#options = options;
    const session = performServerHandshake(socket, {
      settings: SETTINGS,
      maxSessionMemory: 10,
    }) as Http2Session;
    this.#session = session;
    session.setTimeout(options.timeouts.keepAlive, () => this.#close());
    session.on("error", () => session.destroy());
    session.on("close", () => {
      options.deadlines.delete(this);
      options.closed();
    });
    session.on("stream", (stream, headers, flags: number) => {
      accept(stream as ServerHttp2Stream, headers, (flags & 1) === 1, options, this);
    });
    options.deadlines.add(this);
  }

  get sent(): number {
    return this.#socket.bytesWritten;
  }

  /** GOAWAY; the streams in flight are finished. */
  drain(): void {
    this.#close();
  }

  suspect(): void {
    if (this.#sentWhenSuspected !== -1) return;
    this.#sentWhenSuspected = this.sent;
    this.deadline = Date.now() + RESET_LEAVES;
  }

  /** Called by the sweep. */
  expire(now: number): void {
    const stalled = this.#sentWhenSuspected === this.sent;
    this.#sentWhenSuspected = -1;
    // A session that is destroyed closes its socket only once all is written, which here may be never.
    if (this.#session.destroyed || stalled) {
      this.#session.destroy();
      this.#socket.destroy();
    } else this.deadline = this.#session.closed ? now + this.#options.timeouts.write : Infinity;
  }

  #close(): void {
    this.#session.close();
    this.deadline = Math.min(this.deadline, Date.now() + this.#options.timeouts.write);
  }
}

function accept(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  ended: boolean,
  options: ServerSessionOptions,
  writes: SessionWrites,
): void {
  stream.on("error", () => stream.destroy());
  let head: RequestHead;
  try {
    head = readRequestHead(headers, ended);
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    options.refused(error.status, error.message, options.clientAddress);
    stream.respond({ ":status": error.status, server: "paddock" }, { endStream: true });
    return;
  }
  options.handle(new StreamExchange(stream, head, ended, options, writes));
}
