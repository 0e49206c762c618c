import type { Duplex } from "node:stream";
import type { Expiring } from "../exchange/deadlines.ts";
import type { ServerConnectionOptions } from "../exchange/server-options.ts";
import type { ConnectionTunnel } from "./connection-tunnel.ts";
import { HeadScanner } from "./head-scanner.ts";
import { MessageError } from "./problem.ts";
import { refusal } from "./refusal.ts";
import { parseRequestHead, type RequestHead } from "./request-head.ts";
import { RequestBody } from "./request-body.ts";
import { ServerExchange } from "./server-exchange.ts";

/** For a client that still sends what nobody wants: in all, as nginx's lingering_time, and without a byte. Milliseconds. */
const LONGEST_LINGER = 30_000;
const QUIET_LINGER = 2_000;

/**
 * One HTTP/1.x connection from a client: heads become Exchanges, one at a time and in order; what is pipelined
 * behind waits in `#pending`, with the socket paused, so that it takes no more memory than one read.
 */
export class ServerConnection implements Expiring {
  deadline: number;
  readonly socket: Duplex;
  readonly options: ServerConnectionOptions;
  readonly #scanner = new HeadScanner(400);
  #pending: Buffer | null = null;
  #exchange: ServerExchange | null = null;
  #body: RequestBody | null = null;
  #tunnel: ConnectionTunnel | null = null;
  #draining = false;
  /** The daemon ends; else it is a worker that is replaced. */
  #ending = false;
  #closing = false;
  /** Milliseconds since the epoch; 0 where what still comes is not waited for. */
  #lingerUntil = 0;
  /** At the last look. */
  #sent = 0;
  #parsing = false;
  #emptyLine = false;

  constructor(socket: Duplex, options: ServerConnectionOptions) {
    this.socket = socket;
    this.options = options;
    // A browser opens connections ahead of need: until the first byte it is idle, not slow.
    this.deadline = Date.now() + options.timeouts.keepAlive;
    options.deadlines.add(this);
    socket.on("data", (data: Buffer) => this.#receive(data));
    socket.on("end", () => this.#ended());
    socket.on("error", () => socket.destroy());
    socket.on("drain", () => this.#drained());
    socket.on("close", () => {
      this.#closing = true;
      options.deadlines.delete(this);
      this.#body?.fail(499, "the client went away");
      if (this.#tunnel === null) {
        this.#exchange?.clientGone();
      } else {
        this.#tunnel.onClose();
        this.#exchange?.tunnelClosed();
      }
      this.#exchange = null;
      options.closed();
    });
  }

  /**
   * Answers what is in flight, or comes within `idle` milliseconds, with `Connection: close` and leaves. To close
   * an idle connection at once would meet requests that are on their way, and those clients would see a reset.
   */
  drain(idle: number): void {
    this.#draining = true;
    this.#ending ||= idle === 0;
    if (this.#tunnel !== null) {
      // Where workers are replaced it stays; where the daemon ends it would hold the end up for ever.
      if (this.#ending) this.#tunnel.end();
      return;
    }
    if (this.#exchange !== null || this.#pending !== null) return;
    if (idle === 0) this.socket.end();
    else this.deadline = Math.min(this.deadline, Date.now() + idle);
  }

  get persistent(): boolean {
    return !this.#draining && !this.#closing;
  }

  /** Called by the sweep. */
  expire(now: number): void {
    const reading = this.#body !== null && !this.#body.done && this.#body.reading;
    if (!reading && this.socket.writableLength > 0 && this.#hasSent()) {
      this.deadline = now + this.options.timeouts.write;
      return;
    }
    if (this.#tunnel !== null) {
      this.socket.destroy();
      return;
    }
    if (this.#exchange === null) {
      if (this.#pending === null) this.socket.destroy();
      else this.#refuse(408, "the request head did not come in time");
      return;
    }
    if (this.#body !== null && reading) {
      if (this.#body.fastEnough()) this.deadline = now + this.options.timeouts.body;
      else this.#body.fail(408, "the request body came slower than 1 KB/s");
      return;
    }
    if (this.socket.writableLength > 0) this.socket.destroy();
    else this.deadline = Infinity;
  }

  watchWrite(): void {
    this.deadline = Date.now() + this.options.timeouts.write;
    this.#hasSent();
  }

  /** Whether the client has taken anything since the last look: who reads, however slowly, is not given up. */
  #hasSent(): boolean {
    const before = this.#sent;
    this.#sent = this.options.sent();
    return this.#sent !== before;
  }

  watchBody(): void {
    this.deadline = Date.now() + this.options.timeouts.body;
  }

  /** The other side has closed; the client has as long as for a write to do the same. */
  watchClose(): void {
    this.deadline = Date.now() + this.options.timeouts.write;
    this.#closing = true;
  }

  /** What follows on this connection is not HTTP, what has come already included. */
  enterTunnel(tunnel: ConnectionTunnel): void {
    this.#tunnel = tunnel;
    const pending = this.#pending;
    this.#pending = null;
    // Not before the caller has set the tunnel's callbacks.
    process.nextTick(() => {
      if (pending !== null) tunnel.onData(pending);
      this.socket.resume();
      // The app agreed only after the daemon had been told to end.
      if (this.#ending) tunnel.end();
    });
  }

  unwatch(): void {
    this.deadline = Infinity;
  }

  /** The response is complete and the request is too, or will not be read: on to the next one. */
  exchangeDone(keepAlive: boolean): void {
    const bodyDone = this.#body === null || this.#body.done;
    this.#exchange = null;
    this.#body = null;
    if (!keepAlive || !bodyDone || this.#draining || this.#closing) {
      this.#closing = true;
      this.#lingerAndClose(!bodyDone);
      return;
    }
    this.deadline = Date.now() + this.options.timeouts.keepAlive;
    if (this.socket.isPaused()) this.socket.resume();
    if (this.#pending !== null && !this.#parsing) {
      const pending = this.#pending;
      this.#pending = null;
      this.#receive(pending);
    }
  }

  /**
   * The client's unread bytes would turn the close into a reset that eats our answer (RFC 9112 section 9.6): they are
   * read and dropped, for as long as some come.
   */
  #lingerAndClose(unread: boolean): void {
    this.socket.end();
    this.#pending = null;
    if (!unread) {
      this.deadline = Date.now() + this.options.timeouts.write;
      return;
    }
    this.#lingerUntil = Date.now() + LONGEST_LINGER;
    this.deadline = Date.now() + QUIET_LINGER;
    this.socket.resume();
  }

  #drained(): void {
    if (this.#tunnel === null) {
      this.#exchange?.drained();
      return;
    }
    if (!this.#closing) this.unwatch();
    this.#tunnel.onDrain();
  }

  #receive(data: Buffer): void {
    if (this.#closing) {
      if (this.#lingerUntil > 0) this.deadline = Math.min(this.#lingerUntil, Date.now() + QUIET_LINGER);
      return;
    }
    if (this.#tunnel !== null) {
      this.#tunnel.onData(data);
      return;
    }
    let bytes = data;
    if (this.#body !== null && !this.#body.done) {
      const used = this.#feedBody(bytes);
      if (used === bytes.length) return;
      bytes = bytes.subarray(used);
    }
    bytes = this.#pending === null ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#pending = bytes;
    if (this.#exchange !== null) {
      this.socket.pause();
      return;
    }
    this.#parsing = true;
    try {
      while (this.#exchange === null && this.#pending !== null && !this.#closing && this.#parseOne());
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#refuse(error.status, error.message);
    } finally {
      this.#parsing = false;
    }
  }

  /** Takes one head from `#pending`; false when it is not complete yet. */
  #parseOne(): boolean {
    let bytes = this.#pending as Buffer;
    // RFC 9112 section 2.2: one empty line before a request line is forgiven, old clients end a body with it.
    if (bytes[0] === 13 && bytes[1] === 10) {
      if (this.#emptyLine) throw new MessageError(400, "empty lines in place of a request");
      this.#emptyLine = true;
      bytes = bytes.subarray(2);
      this.#scanner.reset();
      this.#pending = bytes.length === 0 ? null : bytes;
      if (this.#pending === null) return false;
    } else if (bytes.length === 1 && bytes[0] === 13) {
      return false;
    }
    const end = this.#scanner.scan(bytes);
    if (end === -1) {
      const limit = Date.now() + this.options.timeouts.requestHead;
      // From the first byte: later bytes do not extend it, so that a head that drips is cut.
      if (this.deadline > limit || this.deadline === Infinity) this.deadline = limit;
      return false;
    }
    const head = parseRequestHead(bytes.toString("latin1", 0, end - 4));
    this.#pending = end === bytes.length ? null : bytes.subarray(end);
    this.#emptyLine = false;
    this.#begin(head);
    return true;
  }

  #begin(head: RequestHead): void {
    this.deadline = Infinity;
    const body = head.bodyLength === 0 ? null : new RequestBody(this, head.bodyLength);
    this.#body = body;
    const exchange = new ServerExchange(this, head, body);
    this.#exchange = exchange;
    if (body !== null && this.#pending !== null) {
      const pending = this.#pending;
      this.#pending = null;
      const used = this.#feedBody(pending);
      if (used < pending.length) this.#pending = pending.subarray(used);
    }
    this.options.handle(exchange);
  }

  /** A breach inside a body: the app has a part of it by now, so its connection is broken and the client told. */
  #feedBody(bytes: Buffer): number {
    try {
      return (this.#body as RequestBody).feed(bytes);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#body?.fail(error.status, error.message);
      return bytes.length;
    }
  }

  #ended(): void {
    if (this.#tunnel !== null) {
      this.socket.end();
      return;
    }
    if (this.#body !== null && !this.#body.done) this.#body.fail(400, "the request body ended early");
    if (this.#exchange === null) this.socket.end();
    else this.#draining = true;
  }

  #refuse(status: number, reason: string): void {
    this.#closing = true;
    this.options.refused(status, reason, this.options.clientAddress);
    this.socket.write(refusal(status), "latin1");
    this.#lingerAndClose(true);
  }
}
