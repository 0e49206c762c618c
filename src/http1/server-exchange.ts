import type { BodySink, Exchange } from "../exchange/exchange.ts";
import type { Tunnel } from "../exchange/tunnel.ts";
import { reasonPhrase } from "../exchange/reason.ts";
import { requestId } from "../exchange/request-id.ts";
import { ConnectionTunnel } from "./connection-tunnel.ts";
import { serializeFields } from "./fields.ts";
import type { RequestBody } from "./request-body.ts";
import type { RequestHead } from "./request-head.ts";
import type { ServerConnection } from "./server-connection.ts";

const LAST_CHUNK = Buffer.from("0\r\n\r\n", "latin1");
const CRLF = Buffer.from("\r\n", "latin1");
/** Up to here head and body are copied into one write; beyond, the copy costs more than a second write. */
const ONE_WRITE = 64 * 1024;

type Framing = "none" | "length" | "chunked" | "close";

/** One request on an HTTP/1.x connection. */
export class ServerExchange implements Exchange {
  readonly protocol: "HTTP/1.0" | "HTTP/1.1";
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly string[];
  clientAddress: string;
  forwardedFor = "";
  readonly secure: boolean;
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
  readonly #connection: ServerConnection;
  readonly #head: RequestHead;
  readonly #body: RequestBody | null;
  #continueDue: boolean;
  #headText = "";
  #framing: Framing = "none";
  #remaining = 0;
  #keepAlive = false;
  #settled = false;

  constructor(connection: ServerConnection, head: RequestHead, body: RequestBody | null) {
    this.#connection = connection;
    this.#head = head;
    this.#body = body;
    this.#continueDue = head.expectsContinue && body !== null;
    this.protocol = head.minorVersion === 1 ? "HTTP/1.1" : "HTTP/1.0";
    this.method = head.method;
    this.target = head.target;
    this.host = head.host;
    this.fields = head.fields;
    this.bodyLength = head.bodyLength;
    this.upgrade = head.upgrade;
    this.clientAddress = connection.options.clientAddress;
    this.secure = connection.options.secure;
    this.serverName = connection.options.serverName;
  }

  readBody(sink: BodySink): void {
    if (this.#continueDue) {
      this.#continueDue = false;
      this.#connection.socket.write("HTTP/1.1 100 Continue\r\n\r\n", "latin1");
    }
    if (this.#body === null) sink.end();
    else this.#body.start(sink);
  }

  pauseBody(): void {
    this.#body?.pause();
  }

  resumeBody(): void {
    this.#body?.resume();
  }

  inform(status: number, fields: readonly string[]): void {
    if (this.#head.minorVersion === 0 || this.status !== 0 || this.#settled) return;
    const text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${serializeFields(fields)}\r\n`;
    this.#connection.socket.write(text, "latin1");
  }

  respond(status: number, fields: readonly string[], body: Buffer | null): void {
    if (this.#settled) return;
    const length = body === null ? 0 : body.length;
    this.begin(status, fields, length);
    if (length === 0 || this.method === "HEAD") this.#remaining = 0;
    else this.write(body as Buffer);
    this.finish();
  }

  begin(status: number, fields: readonly string[], length: number): void {
    if (this.#settled || this.status !== 0) return;
    this.status = status;
    const bodiless = status === 204 || status === 304;
    let framing = "";
    if (bodiless || this.method === "HEAD") {
      this.#framing = "none";
      if (!bodiless && length >= 0) framing = `content-length: ${length}\r\n`;
    } else if (length >= 0) {
      this.#framing = "length";
      this.#remaining = length;
      framing = `content-length: ${length}\r\n`;
    } else if (this.#head.minorVersion === 1) {
      this.#framing = "chunked";
      framing = "transfer-encoding: chunked\r\n";
    } else {
      this.#framing = "close";
    }
    // An app that answers early may leave the rest unread, and this connection has to end with the answer.
    const bodyUnread = this.#body !== null && !this.#body.done;
    this.#keepAlive =
      this.#head.keepAlive && this.#connection.persistent && this.#framing !== "close" && !bodyUnread;
    const connection = this.#keepAlive
      ? this.#head.minorVersion === 0
        ? "connection: keep-alive\r\n"
        : ""
      : "connection: close\r\n";
    this.#headText = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${this.#cookieLines()}${serializeFields(fields)}${framing}${connection}\r\n`;
  }

  write(chunk: Buffer, transient = false): boolean {
    if (this.#settled || chunk.length === 0) return true;
    switch (this.#framing) {
      case "none":
        return true;
      case "length":
        if (chunk.length > this.#remaining) {
          this.failure = "more bytes than Content-Length said";
          this.abort();
          return true;
        }
        this.#remaining -= chunk.length;
        break;
      case "chunked":
        this.#headText += `${chunk.length.toString(16)}\r\n`;
        break;
      case "close":
        break;
    }
    this.bytesSent += chunk.length;
    const flowing = this.#send(chunk, this.#framing === "chunked" ? CRLF : null, transient);
    if (!flowing) this.#connection.watchWrite();
    return flowing;
  }

  finish(): void {
    if (this.#settled) return;
    if (this.#framing === "length" && this.#remaining > 0) {
      this.failure ||= "the response ended before its Content-Length";
      this.abort();
      return;
    }
    if (this.#framing === "chunked") this.#send(LAST_CHUNK, null);
    else if (this.#headText !== "") this.#send(null, null);
    this.#settle(true);
    this.#connection.exchangeDone(this.#keepAlive);
  }

  abort(): void {
    if (this.#settled) return;
    this.#settle(false);
    this.#connection.socket.destroy();
  }

  openTunnel(fields: readonly string[]): Tunnel {
    this.status = 101;
    this.onClose = null;
    this.#connection.socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${this.upgrade}\r\n` +
        `${this.#cookieLines()}${serializeFields(fields)}\r\n`,
      "latin1",
    );
    const tunnel = new ConnectionTunnel(this.#connection, (bytes) => (this.bytesSent += bytes));
    this.#connection.enterTunnel(tunnel);
    return tunnel;
  }

  /** The tunnel has closed: that is how it ends, and nothing broke. */
  tunnelClosed(): void {
    this.#settle(true);
  }

  drained(): void {
    this.#connection.unwatch();
    this.onDrain?.();
  }

  clientGone(): void {
    if (this.#settled) return;
    this.onClose?.();
    this.#settle(false);
  }

  #cookieLines(): string {
    if (this.setCookies === null) return "";
    return serializeFields(this.setCookies.flatMap((value) => ["set-cookie", value]));
  }

  #settle(completed: boolean): void {
    this.#settled = true;
    const settled = this.onSettled;
    this.onSettled = null;
    this.onDrain = null;
    this.onClose = null;
    settled?.(completed);
  }

  #send(chunk: Buffer | null, tail: Buffer | null, transient = false): boolean {
    const socket = this.#connection.socket;
    const head = this.#headText;
    this.#headText = "";
    if (chunk === null) return socket.write(head, "latin1");
    const size = head.length + chunk.length + (tail === null ? 0 : tail.length);
    if (size <= ONE_WRITE) {
      if (head === "" && tail === null) return socket.write(transient ? Buffer.from(chunk) : chunk);
      const joined = Buffer.allocUnsafe(size);
      joined.write(head, 0, "latin1");
      chunk.copy(joined, head.length);
      tail?.copy(joined, head.length + chunk.length);
      return socket.write(joined);
    }
    if (head !== "") socket.write(head, "latin1");
    const flowing = socket.write(transient ? Buffer.from(chunk) : chunk);
    return tail === null ? flowing : socket.write(tail);
  }
}
