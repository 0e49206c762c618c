import { constants, type ServerHttp2Stream } from "node:http2";
import type { BodySink, Exchange } from "../exchange/exchange.ts";
import type { Deadlines } from "../exchange/deadlines.ts";
import type { Tunnel } from "../exchange/tunnel.ts";
import { requestId } from "../exchange/request-id.ts";
import type { RequestHead } from "./request-head.ts";
import { StreamBody } from "./stream-body.ts";
import { StreamTunnel } from "./stream-tunnel.ts";
import type { SessionTunnels } from "./session-tunnels.ts";
import { WriteWatch, type SessionWrites } from "./write-watch.ts";

const NOTHING = Buffer.alloc(0);
const NO_FIELDS: readonly string[] = [];

interface StreamOrigin {
  readonly clientAddress: string;
  readonly serverName: string;
  readonly deadlines: Deadlines;
  /** Milliseconds each. */
  readonly timeouts: { readonly body: number; readonly write: number };
}

/** What the streams of one session share. */
export interface SharedSession extends SessionWrites {
  readonly tunnels: SessionTunnels;
}

/** One HTTP/2 stream as an Exchange. Flow control is the session's; pausing the body closes its window. */
export class StreamExchange implements Exchange {
  readonly protocol = "HTTP/2.0";
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly string[];
  clientAddress: string;
  forwardedFor = "";
  readonly secure = true;
  readonly serverName: string;
  readonly id = requestId();
  readonly startedAt = Date.now();
  readonly bodyLength: number;
  readonly upgrade: "" | "websocket";
  appFields: readonly string[] | null = null;
  setCookies: readonly string[] | null = null;
  site = "";
  handler = "";
  errorPages: Readonly<Record<string, string>> | null = null;
  failure = "";
  status = 0;
  bytesSent = 0;
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null = null;
  onSettled: ((completed: boolean) => void) | null = null;
  readonly #stream: ServerHttp2Stream;
  readonly #body: StreamBody;
  readonly #writing: WriteWatch;
  readonly #wasted: () => void;
  readonly #tunnels: SessionTunnels;
  #continueDue: boolean;
  #tunnel: StreamTunnel | null = null;
  #remaining = -1;
  #settled = false;

  /** `wasted`: called where the client, not the app, is why the stream comes to nothing. */
  constructor(
    stream: ServerHttp2Stream,
    head: RequestHead,
    ended: boolean,
    origin: StreamOrigin,
    session: SharedSession,
    wasted: () => void,
  ) {
    this.#stream = stream;
    this.method = head.method;
    this.target = head.target;
    this.host = head.host;
    this.fields = head.fields;
    this.bodyLength = head.bodyLength;
    this.upgrade = head.upgrade;
    this.clientAddress = origin.clientAddress;
    this.serverName = origin.serverName;
    const { deadlines, timeouts } = origin;
    this.#wasted = wasted;
    this.#tunnels = session.tunnels;
    this.#continueDue = head.expectsContinue;
    this.#body = new StreamBody(stream, this.bodyLength, ended, deadlines, timeouts.body, wasted);
    this.#writing = new WriteWatch(session, deadlines, timeouts.write, () => this.#stalled());
    stream.on("drain", () => this.#drained());
    stream.on("close", () => this.#closed());
  }

  readBody(sink: BodySink): void {
    if (this.#continueDue && this.status === 0 && !this.#stream.destroyed) {
      this.#continueDue = false;
      this.#stream.additionalHeaders({ ":status": 100 });
    }
    this.#body.start(sink);
  }

  pauseBody(): void {
    this.#body.pause();
  }

  resumeBody(): void {
    this.#body.resume();
  }

  inform(status: number, fields: readonly string[]): void {
    if (this.status !== 0 || this.#settled) return;
    this.#stream.additionalHeaders({ ":status": status, ...toHeaders(fields) });
  }

  respond(status: number, fields: readonly string[], body: Buffer | null): void {
    this.begin(status, fields, body === null ? 0 : body.length);
    if (body !== null) this.write(body);
    this.finish();
  }

  begin(status: number, fields: readonly string[], length: number): void {
    if (this.#settled || this.status !== 0) return;
    this.status = status;
    // A flat list, as Node has them inside: an object would be made of it and taken apart again.
    const headers = [":status", String(status), ...this.#cookieFields(), ...fields];
    const bodiless = this.method === "HEAD" || status === 204 || status === 304;
    if (length >= 0 && status !== 204 && status !== 304) headers.push("content-length", String(length));
    this.#remaining = bodiless ? 0 : length;
    if (bodiless || length === 0) this.#stream.respond(headers, { endStream: true });
    else this.#stream.respond(headers);
  }

  write(bytes: Buffer, transient = false): boolean {
    if (this.#settled || this.#remaining === 0 || bytes.length === 0) return true;
    const chunk = transient ? Buffer.from(bytes) : bytes;
    if (this.#remaining > 0) {
      if (chunk.length > this.#remaining) {
        this.failure = "more bytes than Content-Length said";
        this.abort();
        return true;
      }
      this.#remaining -= chunk.length;
      if (this.#remaining === 0) {
        this.bytesSent += chunk.length;
        this.#stream.end(chunk);
        return true;
      }
    }
    this.bytesSent += chunk.length;
    const flowing = this.#stream.write(chunk);
    if (!flowing) this.#writing.begin();
    return flowing;
  }

  finish(): void {
    if (this.#settled) return;
    if (this.#remaining > 0) {
      this.failure ||= "the response ended before its Content-Length";
      this.abort();
      return;
    }
    if (!this.#stream.writableEnded) this.#stream.end();
    // The exchange is over, but the stream holds what the client has not taken yet.
    this.#writing.begin();
    // RFC 9113 section 8.1: a complete response to an unread request asks the client to stop sending.
    if (!this.#body.done) {
      this.#body.discard();
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
    }
    this.#settle(true);
  }

  abort(): void {
    if (this.#settled) return;
    this.#settle(false);
    this.#reset();
  }

  openTunnel(fields: readonly string[]): Tunnel {
    this.status = 200;
    this.onClose = null;
    const headers = toHeaders([...this.#cookieFields(), ...fields]);
    delete headers["sec-websocket-accept"];
    this.#stream.respond({ ":status": 200, ...headers });
    const tunnel = new StreamTunnel(this.#stream, {
      sent: (bytes) => (this.bytesSent += bytes),
      waiting: () => this.#writing.begin(),
      closed: () => {
        this.#tunnels.closed(tunnel);
        this.#settle(true);
      },
    });
    this.#tunnel = tunnel;
    this.#tunnels.opened(tunnel);
    return tunnel;
  }

  #drained(): void {
    if (this.#tunnel !== null) {
      this.#writing.end();
      this.#tunnel.onDrain();
      return;
    }
    // After the end no write follows; `close` tells when the last one is done.
    if (!this.#stream.writableEnded) this.#writing.end();
    this.onDrain?.();
  }

  #stalled(): void {
    this.#wasted();
    this.failure ||= "the client did not take the response in time";
    if (!this.#settled) this.onClose?.();
    this.#settle(false);
    this.#reset();
  }

  #reset(): void {
    // Node ends a stream before it resets it, and a response whose length the head does not tell would look whole.
    // A write that is under way, of no bytes, keeps it from that.
    if (this.status !== 0 && !this.#stream.writableEnded) this.#stream.write(NOTHING);
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #closed(): void {
    this.#body.unwatch();
    this.#writing.end();
    if (this.#settled || this.#tunnel !== null) return;
    this.#wasted();
    this.onClose?.();
    this.#settle(false);
  }

  #cookieFields(): readonly string[] {
    return this.setCookies === null ? NO_FIELDS : this.setCookies.flatMap((value) => ["set-cookie", value]);
  }

  #settle(completed: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    const settled = this.onSettled;
    this.onSettled = null;
    this.onDrain = null;
    this.onClose = null;
    settled?.(completed);
  }
}

function toHeaders(fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else headers[name] = Array.isArray(before) ? [...before, value] : [before, value];
  }
  return headers;
}
