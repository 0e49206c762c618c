import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseFilter, ResponseWriter } from "../exchange/response-filter.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { ResponseSink, UpstreamConnection } from "../upstream/connection.ts";
import { explain, statusOf, type UpstreamFailure } from "../upstream/failure.ts";
import type { UpstreamPool } from "../upstream/pool.ts";
import { respondWithError } from "./error-page.ts";
import { endToEndFields, upstreamRequestHead } from "./forwarded-fields.ts";

/** RFC 9110 section 9.2.2; only these may be sent a second time, and only while nothing has come back. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);

export interface ProxyOptions {
  readonly pool: UpstreamPool;
  /** Bytes. */
  readonly maxBody: number;
  /** Sets what the app left out; may change the list that it is given. */
  readonly finishFields: (fields: string[], exchange: Exchange) => void;
  /** What stands between the app's response and the client. */
  readonly filter: ResponseFilter;
  readonly counted: (outcome: string) => void;
}

/** Passes the exchange to the app and the app's response back. */
export function proxy(exchange: Exchange, options: ProxyOptions): void {
  exchange.handler = "proxy";
  if (exchange.bodyLength > options.maxBody) {
    exchange.failure = `a request body of ${exchange.bodyLength} bytes; raise maxBody to let it through`;
    respondWithError(exchange, 413);
    return;
  }
  new Proxying(exchange, options).start(false);
}

class Proxying implements ResponseSink {
  readonly #exchange: Exchange;
  readonly #options: ProxyOptions;
  #connection: UpstreamConnection | null = null;
  /** The exchange itself until there is a head that a filter could look at. */
  #response: ResponseWriter;
  #bodyBegun = false;
  #bodyBytes = 0;
  #retried = false;
  #bodiless: { status: number; fields: string[] } | null = null;

  constructor(exchange: Exchange, options: ProxyOptions) {
    this.#exchange = exchange;
    this.#response = exchange;
    this.#options = options;
  }

  start(fresh: boolean): void {
    const exchange = this.#exchange;
    const connection = this.#options.pool.take(fresh);
    this.#connection = connection;
    exchange.onClose = () => {
      exchange.failure ||= "the client went away";
      this.#connection = null;
      this.#options.counted("client_gone");
      connection.destroy();
    };
    connection.send(exchange.method, upstreamRequestHead(exchange), this);
    if (exchange.bodyLength === 0) {
      connection.finish();
      return;
    }
    connection.onWritable = () => exchange.resumeBody();
    this.#bodyBegun = true;
    exchange.readBody({
      data: (data) => this.#sendBody(data),
      end: () => this.#endBody(),
      error: (status, reason) => this.#breakRequest(status, reason),
    });
  }

  #sendBody(data: Buffer): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#bodyBytes += data.length;
    if (this.#bodyBytes > this.#options.maxBody) {
      this.#breakRequest(413, "the request body is longer than maxBody; raise it to let it through");
      return;
    }
    const flowing =
      this.#exchange.bodyLength === -1
        ? connection.write(Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, CRLF]))
        : connection.write(data);
    if (!flowing) this.#exchange.pauseBody();
  }

  #endBody(): void {
    if (this.#exchange.bodyLength === -1) this.#connection?.write("0\r\n\r\n");
    this.#connection?.finish();
  }

  #breakRequest(status: number, reason: string): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    this.#exchange.failure ||= reason;
    if (this.#exchange.status !== 0) this.#response.abort();
    else if (status !== 499) respondWithError(this.#exchange, status);
  }

  inform(head: ResponseHead): void {
    this.#exchange.inform(head.status, endToEndFields(head.fields));
  }

  head(head: ResponseHead): void {
    const exchange = this.#exchange;
    const fields = endToEndFields(head.fields);
    this.#options.finishFields(fields, exchange);
    const declared = exchange.method === "HEAD" ? declaredLength(head.fields) : head.bodyLength;
    const length = declared < 0 ? -1 : declared;
    this.#response = this.#options.filter(exchange, head.status, fields, length, exchange);
    if (head.bodyLength === 0 && exchange.method !== "HEAD") {
      this.#bodiless = { status: head.status, fields };
      return;
    }
    this.#response.begin(head.status, fields, length);
    this.#response.onDrain = () => this.#connection?.resume();
  }

  data(data: Buffer): boolean {
    return this.#response.write(data, true);
  }

  end(): void {
    const response = this.#response;
    this.#connection = null;
    this.#options.counted("ok");
    // A filter may need longer than the app: a client that goes now is no reason to break a connection to the app
    // that carries somebody else's request by then.
    response.onClose = null;
    if (this.#bodiless !== null) response.begin(this.#bodiless.status, this.#bodiless.fields, 0);
    response.finish();
  }

  error(failure: UpstreamFailure): void {
    const exchange = this.#exchange;
    const stale = this.#connection?.used === true && failure.kind === "closed" && !failure.begun;
    this.#connection = null;
    if (stale && !this.#retried && !this.#bodyBegun && IDEMPOTENT.has(exchange.method)) {
      this.#retried = true;
      this.start(true);
      return;
    }
    this.#options.counted(failure.kind);
    exchange.failure = explain(failure, this.#options.pool.upstream.address);
    if (exchange.status !== 0) this.#response.abort();
    else respondWithError(exchange, statusOf(failure));
  }
}

const CRLF = Buffer.from("\r\n");

function declaredLength(fields: readonly string[]): number {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === "content-length") return Number(fields[index + 1]);
  }
  return -1;
}
