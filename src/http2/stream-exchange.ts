import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { BodySink, Exchange } from "../exchange/exchange.ts";
import { requestId } from "../exchange/request-id.ts";

interface StreamOrigin {
  readonly clientAddress: string;
  readonly serverName: string;
}

/** One HTTP/2 stream as an Exchange. Flow control is the session's; pausing the body closes its window. */
export class StreamExchange implements Exchange {
  readonly protocol = "HTTP/2.0";
  readonly method: string;
  readonly target: string;
  readonly host: string;
  readonly fields: readonly string[];
  readonly clientAddress: string;
  readonly secure = true;
  readonly serverName: string;
  readonly id = requestId();
  readonly startedAt = Date.now();
  readonly bodyLength: number;
  site = "";
  handler = "";
  failure = "";
  status = 0;
  bytesSent = 0;
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null = null;
  onSettled: ((completed: boolean) => void) | null = null;
  readonly #stream: ServerHttp2Stream;
  #remaining = -1;
  #settled = false;
  #bodyDone: boolean;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    fields: readonly string[],
    ended: boolean,
    origin: StreamOrigin,
  ) {
    this.#stream = stream;
    this.method = headers[":method"] as string;
    this.target = headers[":path"] as string;
    this.host = headers[":authority"] ?? (headers.host as string);
    this.fields = fields;
    this.clientAddress = origin.clientAddress;
    this.serverName = origin.serverName;
    this.bodyLength = ended
      ? 0
      : headers["content-length"] === undefined
        ? -1
        : Number(headers["content-length"]);
    this.#bodyDone = ended;
    stream.on("drain", () => this.onDrain?.());
    stream.on("close", () => this.#closed());
  }

  readBody(sink: BodySink): void {
    if (this.#bodyDone) {
      sink.end();
      return;
    }
    let received = 0;
    this.#stream.on("data", (data: Buffer) => {
      received += data.length;
      if (this.bodyLength >= 0 && received > this.bodyLength)
        sink.error(400, "more bytes than Content-Length said");
      else sink.data(data);
    });
    this.#stream.on("end", () => {
      this.#bodyDone = true;
      if (this.bodyLength >= 0 && received !== this.bodyLength)
        sink.error(400, "fewer bytes than Content-Length said");
      else if (!this.#stream.aborted) sink.end();
    });
  }

  pauseBody(): void {
    this.#stream.pause();
  }

  resumeBody(): void {
    this.#stream.resume();
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
    const headers: Record<string, number | string | string[]> = { ":status": status, ...toHeaders(fields) };
    const bodiless = this.method === "HEAD" || status === 204 || status === 304;
    if (length >= 0 && status !== 204 && status !== 304) headers["content-length"] = length;
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
    return this.#stream.write(chunk);
  }

  finish(): void {
    if (this.#settled) return;
    if (this.#remaining > 0) {
      this.failure ||= "the response ended before its Content-Length";
      this.abort();
      return;
    }
    if (!this.#stream.writableEnded) this.#stream.end();
    // RFC 9113 section 8.1: a complete response to an unread request asks the client to stop sending.
    if (!this.#bodyDone) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    this.#settle(true);
  }

  abort(): void {
    if (this.#settled) return;
    this.#settle(false);
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #closed(): void {
    if (this.#settled) return;
    this.onClose?.();
    this.#settle(false);
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
