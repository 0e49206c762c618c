import type { BufferedBody } from "../buffering/body-buffer.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import type { Applicant } from "../upstream/admission.ts";
import type { Backend } from "../upstream/backend.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";
import type { ResponseSink } from "../upstream/connection-events.ts";
import { explain, statusOf, type UpstreamFailure } from "../upstream/failure.ts";
import type { Held } from "../upstream/restart-hold.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { respondWithError } from "./error-page.ts";
import { endToEndFields, upstreamRequestHead } from "./forwarded-fields.ts";
import { ResponseRelay, type RelayOptions } from "./response-relay.ts";
import { sendBuffered, StreamedBody } from "./request-sending.ts";
import { joinTunnels, upgradeProblem } from "./tunnelling.ts";

/** RFC 9110 section 9.2.2: sent again when a connection that has been used before turns out to be stale. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
/** Sent once more wherever the connection broke. */
const SAFE = new Set(["GET", "HEAD"]);
/** Seconds after which a client that was refused may try again. */
const RETRY_AFTER = "5";

export interface ForwardingOptions extends RelayOptions {
  readonly upstream: Upstream;
  /** Bytes; for a body that is not buffered and has no declared length. */
  readonly maxBody: number;
  readonly counted: (outcome: string) => void;
  /** Whether the client is told how long the request waited and the app took. */
  readonly serverTiming: boolean;
  /** Asked before an error page is sent; true where it has answered the client itself. */
  readonly rescue?: (status: number) => boolean;
  /** A tunnel opened (1) or closed (-1). */
  readonly tunnelled: (change: 1 | -1) => void;
}

/**
 * One request on its way to the app: it is admitted, sent, held while the app restarts, sent again where that is
 * safe, and answered, by the app or in its place.
 */
export class Forwarding implements Applicant, Held, ResponseSink {
  readonly clientAddress: string;
  readonly upgraded?: (head: ResponseHead, first: Buffer) => void;
  readonly #exchange: Exchange;
  readonly #options: ForwardingOptions;
  /** Null where there is none, or where it is streamed. */
  readonly #body: BufferedBody | null;
  #streamed: StreamedBody | null = null;
  #admitted = false;
  #backend: Backend | null = null;
  #connection: UpstreamConnection | null = null;
  #relay: ResponseRelay | null = null;
  /** The app's response is whole. */
  #ended = false;
  #repeated = false;
  /** When it was sent last, milliseconds; only where the client is told. */
  #sentAt = 0;
  #lastFailure: UpstreamFailure | null = null;

  constructor(exchange: Exchange, options: ForwardingOptions, body: BufferedBody | null) {
    this.#exchange = exchange;
    this.#options = options;
    this.#body = body;
    this.clientAddress = exchange.clientAddress;
    if (exchange.upgrade !== "") this.upgraded = (head, first) => this.#openTunnel(head, first);
  }

  start(): void {
    this.#exchange.onClose = () => this.#clientGone();
    this.#options.upstream.admission.enter(this);
  }

  admitted(): void {
    this.#admitted = true;
    this.#attempt(false, false);
  }

  refused(why: "queue full" | "queue timeout"): void {
    const { name } = this.#options.upstream;
    this.#options.counted("refused");
    this.#answer(
      503,
      why === "queue full"
        ? `the queue of ${name} is full; give the app more workers, or raise queueLength`
        : `${name} was busy for longer than queueTimeout; give the app more workers, or look for a slow view`,
    );
  }

  retry(): void {
    this.#attempt(true, true);
  }

  giveUp(): void {
    this.#failed(this.#lastFailure as UpstreamFailure);
  }

  #attempt(fresh: boolean, trial: boolean): void {
    const { upstream } = this.#options;
    const exchange = this.#exchange;
    const taken = upstream.take(fresh, trial, this.clientAddress);
    if (taken === null) {
      this.#lastFailure ??= upstream.lastFailure;
      if (!upstream.hold.hold(this)) this.giveUp();
      return;
    }
    if (this.#options.serverTiming) this.#sentAt = performance.now();
    const { backend, connection } = taken;
    this.#backend = backend;
    this.#connection = connection;
    const body = this.#body;
    if (body !== null) {
      sendBuffered(connection, exchange.method, upstreamRequestHead(exchange, body.length), body, this);
      return;
    }
    connection.send(exchange.method, upstreamRequestHead(exchange, exchange.bodyLength), null, this);
    if (exchange.bodyLength === 0) {
      connection.finish();
    } else {
      this.#streamed = new StreamedBody(exchange, connection, this.#options.maxBody, (status, reason) =>
        this.#breakRequest(status, reason),
      );
    }
  }

  /** The request's body broke, or is longer than it may be. */
  #breakRequest(status: number, reason: string): void {
    this.#connection?.destroy();
    this.#leave();
    if (status === 499) this.#exchange.failure ||= reason;
    else this.#answer(status, reason);
  }

  #clientGone(): void {
    const { upstream } = this.#options;
    this.#exchange.failure ||= "the client went away";
    this.#relay?.close();
    if (!this.#ended) this.#options.counted("client_gone");
    if (!this.#admitted) upstream.admission.cancel(this);
    upstream.hold.cancel(this);
    this.#connection?.destroy();
    this.#leave();
  }

  inform(head: ResponseHead): void {
    this.#exchange.inform(head.status, endToEndFields(head.fields));
  }

  head(head: ResponseHead): void {
    if (this.#options.serverTiming) head.fields.push("server-timing", this.#timing());
    this.#relay = new ResponseRelay(
      this.#exchange,
      this.#options,
      () => this.#connection?.resume(),
      () => this.#enough(),
    );
    if (this.#relay.head(head).endless) this.#connection?.waitEndlessly();
  }

  data(data: Buffer): boolean {
    return (this.#relay as ResponseRelay).data(data);
  }

  /** What is left of the app's response is not wanted. */
  #enough(): void {
    this.#connection?.destroy();
    this.end();
  }

  end(): void {
    // The app is done, whether or not the client has all of it.
    this.#ended = true;
    this.#leave();
    this.#options.counted("ok");
    (this.#relay as ResponseRelay).end();
  }

  /** W3C Server Timing, section 3: `paddock` is all before the app (the body, the queue, a restart). */
  #timing(): string {
    const app = performance.now() - this.#sentAt;
    const before = Date.now() - this.#exchange.startedAt - app;
    return `paddock;dur=${Math.max(0, before).toFixed(1)}, app;dur=${app.toFixed(1)}`;
  }

  #openTunnel(head: ResponseHead, first: Buffer): void {
    const exchange = this.#exchange;
    const connection = this.#connection as UpstreamConnection;
    const problem = upgradeProblem(exchange.fields, head.fields);
    if (problem !== null) {
      connection.refuse(problem);
      return;
    }
    const { counted, tunnelled, finishFields, upstream } = this.#options;
    const fields = endToEndFields(head.fields);
    finishFields(fields, exchange);
    counted("ok");
    tunnelled(1);
    // An open WebSocket may be quiet for hours: it is no request that the app works on. Its backend still counts it.
    this.#admitted = false;
    upstream.admission.leave();
    joinTunnels(exchange.openTunnel(fields), connection, first, () => {
      tunnelled(-1);
      this.#leave();
    });
  }

  error(failure: UpstreamFailure): void {
    const { upstream } = this.#options;
    const { method } = this.#exchange;
    const used = this.#connection?.used === true;
    const backend = this.#backend as Backend;
    backend.inFlight--;
    this.#backend = null;
    this.#connection = null;
    this.#lastFailure = failure;
    // A streamed body is gone, as far as it was sent.
    const whole = this.#streamed === null || !this.#streamed.begun;
    const wasStale = used && !failure.begun && (failure.kind === "closed" || failure.untouched);
    if (wasStale && whole && (failure.untouched || IDEMPOTENT.has(method))) return this.#attempt(true, false);
    const comesBack = upstream.failed(backend, failure);
    if (whole && comesBack) {
      if (upstream.hasOther) return this.#attempt(true, false);
      if (upstream.hold.hold(this)) return;
    } else if (whole && failure.kind === "closed" && !failure.begun && SAFE.has(method) && !this.#repeated) {
      this.#repeated = true;
      return this.#attempt(true, false);
    }
    this.#failed(failure);
  }

  #failed(failure: UpstreamFailure): void {
    this.#options.counted(failure.kind);
    this.#relay?.close();
    this.#leave();
    this.#answer(statusOf(failure), explain(failure));
  }

  /** In the app's place; breaks off what has begun. */
  #answer(status: number, reason: string): void {
    const exchange = this.#exchange;
    this.#body?.discard();
    exchange.failure ||= reason;
    if (exchange.status !== 0) (this.#relay ?? exchange).abort();
    else if (this.#options.rescue?.(status) !== true)
      respondWithError(exchange, status, status === 503 ? ["retry-after", RETRY_AFTER] : []);
  }

  /** The app has no more to do with this request. */
  #leave(): void {
    this.#body?.discard();
    this.#connection = null;
    if (this.#backend !== null) this.#backend.inFlight--;
    this.#backend = null;
    if (!this.#admitted) return;
    this.#admitted = false;
    this.#options.upstream.admission.leave();
  }
}
