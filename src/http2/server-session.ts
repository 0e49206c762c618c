import {
  performServerHandshake,
  type Http2Session,
  type ServerHttp2Stream,
  type IncomingHttpHeaders,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { FIELD_VALUE, HOST, TOKEN } from "../http1/grammar.ts";
import { StreamExchange } from "./stream-exchange.ts";
import type { SessionWrites } from "./write-watch.ts";

export interface ServerSessionOptions {
  readonly clientAddress: string;
  readonly serverName: string;
  readonly timeouts: SessionTimeouts;
  readonly deadlines: Deadlines;
  readonly handle: (exchange: Exchange) => void;
  readonly refused: (status: number, reason: string, clientAddress: string) => void;
  readonly closed: () => void;
}

/** Milliseconds each. */
export interface SessionTimeouts {
  /** Without a stream until the session is closed. */
  readonly keepAlive: number;
  readonly body: number;
  readonly write: number;
}

/** Milliseconds in which a RST_STREAM of a few bytes leaves any socket that is not stalled. */
const RESET_LEAVES = 1_000;

const SETTINGS = {
  maxConcurrentStreams: 128,
  initialWindowSize: 256 * 1024,
  enablePush: false,
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
  const fields: string[] = [];
  const problem = readFields(headers, fields);
  if (problem !== null) {
    options.refused(problem.status, problem.reason, options.clientAddress);
    stream.respond({ ":status": problem.status, server: "paddock" }, { endStream: true });
    return;
  }
  options.handle(new StreamExchange(stream, headers, fields, ended, options, writes));
}

/** RFC 9113 section 8.2 and 8.3, as strict as the HTTP/1.1 codec: the app gets HTTP/1.1 made of these. */
function readFields(
  headers: IncomingHttpHeaders,
  fields: string[],
): { status: number; reason: string } | null {
  const bad = (reason: string): { status: number; reason: string } => ({ status: 400, reason });
  const method = headers[":method"] ?? "";
  const path = headers[":path"] ?? "";
  const authority = headers[":authority"] ?? headers.host ?? "";
  if (!TOKEN.test(method)) return bad("the method is not a token");
  if (method === "CONNECT") return { status: 501, reason: "CONNECT: this is no forward proxy" };
  if (!/^\/[\x21\x22\x24-\x7e]*$/.test(path) && !(path === "*" && method === "OPTIONS"))
    return bad("the path holds a byte that no URI may hold");
  if (path.length > 8 * 1024) return { status: 414, reason: "the path is too long" };
  if (!HOST.test(authority)) return bad("the authority is not a name with an optional port");
  if (headers.host !== undefined && headers.host.toLowerCase() !== authority.toLowerCase())
    return bad("Host and :authority differ");
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    if (!TOKEN.test(name)) return bad("a field name that is not a token");
    for (const one of Array.isArray(value) ? value : [value]) {
      if (!FIELD_VALUE.test(one)) return bad("a control character in a field value");
      if (name === "content-length" && !/^[0-9]{1,15}$/.test(one))
        return bad("Content-Length is not one decimal number");
      fields.push(name, one);
    }
  }
  return fields.length > 200 ? { status: 431, reason: "more than 100 fields" } : null;
}
