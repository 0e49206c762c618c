import {
  performServerHandshake,
  type Http2Session,
  type ServerHttp2Stream,
  type IncomingHttpHeaders,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import { PaddockError } from "../errors.ts";
import type { Expiring } from "../exchange/deadlines.ts";
import type { ServerConnectionOptions } from "../exchange/server-options.ts";
import { MessageError } from "../http1/problem.ts";
import { readRequestHead, type RequestHead } from "./request-head.ts";
import { SessionTunnels } from "./session-tunnels.ts";
import { StreamExchange, type SharedSession } from "./stream-exchange.ts";
import { SessionConduct } from "./session-conduct.ts";

/** HTTP/2 is spoken over TLS only; its keepAlive is the time without a stream. */
export interface ServerSessionOptions extends Omit<ServerConnectionOptions, "secure"> {
  /** Told why a connection was ended that the client's frames made impossible or too dear to go on with. */
  readonly ended: (reason: string, clientAddress: string) => void;
}

/** Milliseconds in which a RST_STREAM of a few bytes leaves any socket that is not stalled. */
const RESET_LEAVES = 1_000;

/** The same for a GOAWAY, after which the socket is closed whether or not the client has read it. */
const GOAWAY_LEAVES = RESET_LEAVES;

/** NGHTTP2_ERR_CALLBACK_FAILURE: Node gives a session up that has had 100 streams refused. */
const CALLBACK_FAILURE = -902;

const SETTINGS = {
  maxConcurrentStreams: 128,
  initialWindowSize: 256 * 1024,
  enablePush: false,
  enableConnectProtocol: true,
  maxHeaderListSize: 32 * 1024,
};

/** HTTP/2 (RFC 9113) on a socket whose handshake agreed on it; each stream becomes an Exchange. */
export class ServerSession implements Expiring, SharedSession {
  deadline = Infinity;
  waiting = 0;
  readonly tunnels = new SessionTunnels();
  readonly #socket: TLSSocket;
  readonly #session: Http2Session;
  readonly #options: ServerSessionOptions;
  readonly #conduct: SessionConduct;
  #sentWhenSuspected = -1;
  /** The GOAWAY of a client that has gone too far is on its way. */
  #ending = false;

  constructor(socket: TLSSocket, options: ServerSessionOptions) {
    this.#socket = socket;
    this.#options = options;
    const session = performServerHandshake(socket, {
      settings: SETTINGS,
      maxSessionMemory: 10,
    }) as Http2Session;
    this.#session = session;
    const conduct = new SessionConduct({
      timeouts: options.timeouts,
      deadlines: options.deadlines,
      lastStream: () => session.state.lastProcStreamID ?? 0,
      end: (code, reason) => this.#end(code, reason),
      close: () => this.#close(),
    });
    this.#conduct = conduct;
    session.on("ping", () => conduct.ping());
    session.on("remoteSettings", () => conduct.settings());
    session.on("localSettings", () => conduct.settingsAcknowledged());
    session.on("error", (error) => this.#failed(error));
    session.on("close", () => {
      conduct.stop();
      options.deadlines.delete(this);
      options.closed();
    });
    session.on("stream", (stream, headers, flags: number) => {
      this.#accept(stream as ServerHttp2Stream, headers, (flags & 1) === 1);
    });
    options.deadlines.add(this);
  }

  get sent(): number {
    return this.#options.sent();
  }

  /**
   * GOAWAY; the streams in flight are finished. WebSockets stay where workers are replaced; where the daemon ends
   * (`idle` is 0) they would hold the end up for ever.
   */
  drain(idle: number): void {
    this.#close();
    if (idle === 0) this.tunnels.end();
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
    if (this.#session.closed) return;
    this.#session.close();
    this.deadline = Math.min(this.deadline, Date.now() + this.#options.timeouts.write);
  }

  /** GOAWAY, and no more of it: its streams end, and with each what the app does for it. */
  #end(code: number, reason: string): void {
    if (this.#ending || this.#session.destroyed) return;
    this.#ending = true;
    this.#options.ended(reason, this.#options.clientAddress);
    this.#session.goaway(code);
    // A session without streams that is destroyed in the same turn closes its socket ahead of its GOAWAY.
    setImmediate(() => this.#session.destroy(new PaddockError("ERR_HTTP_MESSAGE", reason), code));
    this.deadline = Date.now() + GOAWAY_LEAVES;
  }

  /** nghttp2 has found what no session recovers from; Node has sent its GOAWAY where one could be sent. */
  #failed(error: Error & { code?: string; errno?: number }): void {
    if (this.#ending) return;
    if (error.code === "ERR_HTTP2_ERROR" || error.code === "ERR_HTTP2_TOO_MANY_INVALID_FRAMES") {
      const reason =
        error.errno === CALLBACK_FAILURE ? "more streams at once than it was told" : error.message;
      this.#options.ended(reason, this.#options.clientAddress);
    }
    this.#session.destroy();
    this.deadline = Date.now() + GOAWAY_LEAVES;
  }

  #accept(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ended: boolean): void {
    const options = this.#options;
    const conduct = this.#conduct;
    const id = stream.id ?? 0;
    let wasted = false;
    conduct.streamBegan(id);
    stream.on("error", () => stream.destroy());
    const counted = (): void => conduct.streamEnded(wasted);
    // In one read with its HEADERS came the RST_STREAM, or what ends the session: nobody needs to ask the app.
    if (stream.destroyed || stream.closed || this.#ending || this.#session.destroyed) {
      conduct.streamEnded(true);
      return;
    }
    let head: RequestHead;
    try {
      head = readRequestHead(headers, ended);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      wasted = true;
      stream.on("close", counted);
      options.refused(error.status, error.message, options.clientAddress);
      stream.respond({ ":status": error.status, server: "paddock" }, { endStream: true });
      return;
    }
    const exchange = new StreamExchange(stream, head, ended, options, this, () => (wasted = true));
    // Behind the exchange's own listener, which finds out.
    stream.on("close", counted);
    options.handle(exchange);
  }
}
