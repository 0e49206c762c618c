import { connect, type Socket } from "node:net";
import type { UpstreamConfiguration } from "../config/configuration.ts";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import { ChunkedDecoder } from "../http1/chunked.ts";
import { HeadScanner } from "../http1/head-scanner.ts";
import { parseResponseHead, type ResponseHead } from "../http1/response-head.ts";
import { failureOf, UpstreamFailure } from "./failure.ts";

/** Receives one response. Data is valid during the call only; return false to stop until resume(). */
export interface ResponseSink {
  inform(head: ResponseHead): void;
  head(head: ResponseHead): void;
  data(data: Buffer): boolean;
  end(): void;
  error(failure: UpstreamFailure): void;
}

/** One read buffer for all connections: every callback consumes or copies what it was given before it returns. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** One connection to an app, which carries one request at a time. */
export class UpstreamConnection implements Expiring {
  deadline = Infinity;
  onWritable: (() => void) | null = null;
  /** Whether it has carried a whole exchange before, so that a close may mean only that it was stale. */
  used = false;
  readonly #socket: Socket;
  readonly #upstream: UpstreamConfiguration;
  readonly #deadlines: Deadlines;
  readonly #idle: (connection: UpstreamConnection) => void;
  readonly #gone: (connection: UpstreamConnection) => void;
  readonly #scanner = new HeadScanner(502);
  #connected = false;
  #pending: Buffer | null = null;
  #sink: ResponseSink | null = null;
  #method = "";
  #response: ResponseHead | null = null;
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;
  #flowing = true;
  #requestDone = false;
  #responseDone = false;

  constructor(
    upstream: UpstreamConfiguration,
    deadlines: Deadlines,
    idle: (connection: UpstreamConnection) => void,
    gone: (connection: UpstreamConnection) => void,
  ) {
    this.#upstream = upstream;
    this.#deadlines = deadlines;
    this.#idle = idle;
    this.#gone = gone;
    const { address } = upstream;
    const onread = {
      buffer: READ_BUFFER,
      callback: (length: number) => {
        this.#receive(READ_BUFFER.subarray(0, length));
        return this.#flowing;
      },
    };
    this.#socket =
      address.kind === "unix"
        ? connect({ path: address.path, onread })
        : connect({ host: address.host, port: address.port, noDelay: true, onread });
    this.deadline = Date.now() + upstream.connectTimeout;
    deadlines.add(this);
    this.#socket.on("connect", () => {
      this.#connected = true;
      this.#await();
    });
    this.#socket.on("drain", () => this.onWritable?.());
    this.#socket.on("error", (error) => {
      if (this.#connected) this.#fail(failureOf(error, this.#response !== null));
      else this.#fail(new UpstreamFailure("connect", false, error));
    });
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("close", () => {
      deadlines.delete(this);
      this.#ended();
      this.#gone(this);
    });
  }

  /** Sends a request head and, where it is small and there at once, its body. */
  send(method: string, head: string, sink: ResponseSink): void {
    this.#method = method;
    this.#sink = sink;
    this.#response = null;
    this.#decoder = null;
    this.#requestDone = false;
    this.#responseDone = false;
    this.#flowing = true;
    this.#socket.write(head, "latin1");
  }

  /** `data` MUST not change afterwards: the socket keeps it until it is written. */
  write(data: Buffer | string): boolean {
    return this.#socket.write(data, "latin1");
  }

  /** The request is complete. */
  finish(): void {
    this.#requestDone = true;
    this.#await();
    if (this.#responseDone) this.#release();
  }

  resume(): void {
    this.#flowing = true;
    this.#await();
    this.#socket.resume();
  }

  destroy(): void {
    this.#sink = null;
    this.#socket.destroy();
  }

  expire(): void {
    const code = this.#connected ? "ERR_RESPONSE_TIMEOUT" : "ETIMEDOUT";
    const cause = Object.assign(new Error("no answer in time"), { code });
    if (this.#connected) this.#fail(new UpstreamFailure("timeout", this.#response !== null, cause));
    else this.#fail(new UpstreamFailure("connect", false, cause));
  }

  /** Time runs only while the app has all that it needs and we are willing to read. */
  #await(): void {
    const waiting = this.#connected && this.#sink !== null && this.#requestDone && this.#flowing;
    if (!waiting && !this.#connected) return;
    this.deadline = waiting ? Date.now() + this.#upstream.responseTimeout : Infinity;
  }

  #receive(data: Buffer): void {
    if (this.#sink === null) {
      // Bytes that nobody asked for: the connection can no longer be trusted.
      this.#socket.destroy();
      return;
    }
    try {
      let bytes = data;
      while (this.#response === null) {
        if (this.#pending !== null) bytes = Buffer.concat([this.#pending, bytes]);
        const end = this.#scanner.scan(bytes);
        if (end === -1) {
          this.#pending = Buffer.from(bytes);
          return;
        }
        this.#pending = null;
        this.#takeHead(parseResponseHead(bytes.toString("latin1", 0, end - 4), this.#method));
        bytes = bytes.subarray(end);
        if (bytes.length === 0 && this.#response === null) return;
      }
      this.#takeBody(bytes);
    } catch (error) {
      this.#fail(failureOf(error, this.#response !== null));
    }
  }

  #takeHead(head: ResponseHead): void {
    const sink = this.#sink as ResponseSink;
    if (head.status < 200) {
      if (head.status === 101)
        throw new UpstreamFailure("protocol", false, new Error("an upgrade nobody asked for"));
      if (head.status !== 100) sink.inform(head);
      return;
    }
    this.#response = head;
    this.#remaining = head.bodyLength;
    if (head.bodyLength === -1) {
      this.#decoder = new ChunkedDecoder(502, (data) => {
        if (this.#sink !== null && !this.#sink.data(data)) this.#flowing = false;
      });
    }
    sink.head(head);
  }

  #takeBody(bytes: Buffer): void {
    const head = this.#response as ResponseHead;
    const sink = this.#sink;
    if (sink === null) return;
    let used = bytes.length;
    if (this.#decoder !== null) {
      used = this.#decoder.feed(bytes, 0);
      if (this.#decoder.done) this.#responseDone = true;
    } else if (head.bodyLength === -2) {
      if (used > 0 && !sink.data(bytes)) this.#flowing = false;
    } else {
      used = Math.min(this.#remaining, bytes.length);
      this.#remaining -= used;
      if (used > 0 && !sink.data(bytes.subarray(0, used))) this.#flowing = false;
      if (this.#remaining === 0) this.#responseDone = true;
    }
    if (!this.#flowing) this.#await();
    else if (this.deadline !== Infinity) this.#await();
    if (!this.#responseDone) return;
    const reusable = used === bytes.length && head.keepAlive;
    if (!reusable) this.#socket.end();
    if (!this.#requestDone || !reusable) {
      // The app answered without taking the whole request, or will close: this connection is spent.
      this.#sink = null;
      this.deadline = Infinity;
      sink.end();
      this.#socket.destroy();
      return;
    }
    this.#release(sink);
  }

  #release(sink: ResponseSink | null = this.#sink): void {
    this.#sink = null;
    this.used = true;
    this.#flowing = true;
    this.deadline = Infinity;
    // Given back first: the end of this response may begin the next request, which can then have it.
    this.#idle(this);
    sink?.end();
  }

  #ended(): void {
    const sink = this.#sink;
    if (sink === null) {
      this.#socket.destroy();
      return;
    }
    if (this.#response?.bodyLength === -2) {
      this.#sink = null;
      sink.end();
      this.#socket.destroy();
      return;
    }
    this.#fail(
      new UpstreamFailure("closed", this.#response !== null, new Error("the app closed the connection")),
    );
  }

  #fail(failure: UpstreamFailure): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#deadlines.delete(this);
    this.#socket.destroy();
    sink?.error(failure);
  }
}
