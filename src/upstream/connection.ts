import type { UpstreamAddress } from "../config/configuration.ts";
import { systemErrorCode } from "../errors.ts";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import { fieldValue } from "../http1/fields.ts";
import { AppSocket } from "./app-socket.ts";
import { failureOf, UpstreamFailure } from "./failure.ts";
import type { ConnectionOwner, ResponseSink, TunnelEvents, UpstreamTimeouts } from "./connection-events.ts";
import { ResponseReader } from "./response-reader.ts";

/**
 * A request of this many bytes, sent in one write, is read by a server in one read or not at all; Gunicorn reads
 * 8192 bytes at a time. Bytes.
 */
const ONE_READ = 4096;

/** One read buffer for all connections: every callback consumes or copies what it was given before it returns. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

const NOTHING = Buffer.alloc(0);

/** One connection to an app, which carries one request at a time. */
export class UpstreamConnection implements Expiring {
  deadline = Infinity;
  onWritable: (() => void) | null = null;
  /** Whether it has carried a whole exchange before, so that a close may mean only that it was stale. */
  used = false;
  /** When it was given back, milliseconds since the epoch. */
  idleSince = 0;
  readonly #socket: AppSocket;
  readonly #address: UpstreamAddress;
  readonly #timeouts: UpstreamTimeouts;
  readonly #deadlines: Deadlines;
  readonly #owner: ConnectionOwner;
  readonly #reader = new ResponseReader();
  /** Goes before the first request: a PROXY header. */
  #preamble: Buffer | null;
  #connected = false;
  #onConnected: (() => void) | null = null;
  #sink: ResponseSink | null = null;
  #tunnel: TunnelEvents | null = null;
  #endless = false;
  #requestDone = false;
  /** Of the request under way. */
  #writes = 0;
  #sentBytes = 0;
  #received = false;

  constructor(
    address: UpstreamAddress,
    timeouts: UpstreamTimeouts,
    deadlines: Deadlines,
    owner: ConnectionOwner,
    preamble: Buffer | null = null,
  ) {
    this.#preamble = preamble;
    this.#address = address;
    this.#timeouts = timeouts;
    this.#deadlines = deadlines;
    this.#owner = owner;
    const onread = {
      buffer: READ_BUFFER,
      callback: (length: number) => {
        this.#receive(READ_BUFFER.subarray(0, length));
        return this.#reader.flowing;
      },
    };
    this.#socket = new AppSocket({ onread, noDelay: address.kind !== "unix" }, () => {
      this.#requestDone = true;
      this.#await();
    });
    if (address.kind === "unix") this.#socket.connect(address.path);
    else this.#socket.connect(address.port, address.host);
    this.deadline = Date.now() + timeouts.connectTimeout;
    deadlines.add(this);
    this.#socket.on("connect", () => {
      this.#connected = true;
      owner.connected();
      this.#await();
      this.#onConnected?.();
      this.#onConnected = null;
    });
    this.#socket.on("drain", () => this.onWritable?.());
    this.#socket.on("error", (error) => {
      if (this.#connected) this.#broke(error);
      else this.#fail(new UpstreamFailure(address, "connect", false, error, true));
    });
    this.#socket.on("end", () => this.#ended());
    this.#socket.on("close", () => {
      deadlines.delete(this);
      this.#ended();
      owner.gone(this);
    });
  }

  /** Whether the request that was sent last is not over yet, and the app takes more of it. */
  get writable(): boolean {
    return this.#sink !== null && this.#socket.writeFailure === null;
  }

  /** Sends a request head, and with it a body that is there at once. */
  send(method: string, head: string, body: Buffer | null, sink: ResponseSink): void {
    this.#sink = sink;
    this.#reader.begin(method, sink.upgraded !== undefined);
    this.#endless = false;
    this.#requestDone = false;
    this.#received = false;
    this.#writes = 1;
    this.onWritable = null;
    if (body === null && this.#preamble === null) {
      this.#sentBytes = head.length;
      this.#socket.write(head, "latin1");
      return;
    }
    const whole = Buffer.concat([this.#preamble ?? NOTHING, Buffer.from(head, "latin1"), body ?? NOTHING]);
    this.#preamble = null;
    this.#sentBytes = whole.length;
    this.#socket.write(whole);
  }

  /** `data` MUST NOT change afterwards: the socket keeps it until it is written. False: wait for `onWritable`. */
  write(data: Buffer | string): boolean {
    this.#writes++;
    return this.#socket.write(data, "latin1");
  }

  /** Calls back when the connection stands; at once where it does. Never, if it fails. */
  onceConnected(callback: () => void): void {
    if (this.#connected) callback();
    else this.#onConnected = callback;
  }

  /** The request is complete. */
  finish(): void {
    this.#requestDone = true;
    this.#await();
    if (this.#reader.done) this.#release();
  }

  /** In `upgraded`: what the app sends from here on goes there. Ends with `destroy`. */
  tunnel(events: TunnelEvents): void {
    this.#sink = null;
    this.#tunnel = events;
    this.#reader.flowing = true;
    this.deadline = Infinity;
  }

  /** This response may be quiet for as long as the app likes. */
  waitEndlessly(): void {
    this.#endless = true;
    this.deadline = Infinity;
  }

  /** Only for a tunnel: stops the app until `resume`. */
  pause(): void {
    this.#reader.flowing = false;
    this.#socket.pause();
  }

  resume(): void {
    if (this.#sink === null && this.#tunnel === null) return;
    this.#reader.flowing = true;
    this.#await();
    this.#socket.resume();
  }

  destroy(): void {
    this.#sink = null;
    this.#tunnel = null;
    this.#socket.destroy();
  }

  /** The rest of the request cannot be sent. */
  breakOff(reason: string): void {
    this.#fail(new UpstreamFailure(this.#address, "closed", this.#received, new Error(reason)));
  }

  /** The app answered what this protocol does not allow. */
  refuse(reason: string): void {
    this.#fail(new UpstreamFailure(this.#address, "protocol", true, new Error(reason)));
  }

  expire(): void {
    const code = this.#connected ? "ERR_RESPONSE_TIMEOUT" : "ETIMEDOUT";
    const cause = Object.assign(new Error("no answer in time"), { code });
    if (this.#connected) this.#fail(new UpstreamFailure(this.#address, "timeout", this.#received, cause));
    else this.#fail(new UpstreamFailure(this.#address, "connect", false, cause, true));
  }

  /** Time runs only while the app has all that it needs and we are willing to read. */
  #await(): void {
    if (!this.#connected) return;
    const waiting = this.#sink !== null && this.#requestDone && this.#reader.flowing && !this.#endless;
    this.deadline = waiting ? Date.now() + this.#timeouts.responseTimeout : Infinity;
  }

  #receive(data: Buffer): void {
    if (this.#tunnel !== null) {
      this.#reader.flowing = this.#tunnel.data(data);
      return;
    }
    const sink = this.#sink;
    if (sink === null) {
      // Bytes that nobody asked for: the connection can no longer be trusted.
      this.#socket.destroy();
      return;
    }
    this.#received = true;
    try {
      const used = this.#reader.feed(data, sink);
      // The sink may have given up meanwhile.
      if (this.#sink !== sink) return;
      if (this.#reader.response?.status === 101) sink.upgraded?.(this.#reader.response, data.subarray(used));
      else if (this.#reader.done) this.#complete(sink, used === data.length);
      else this.#await();
    } catch (error) {
      this.#fail(failureOf(this.#address, error, true));
    }
  }

  #complete(sink: ResponseSink, nothingBehind: boolean): void {
    const head = this.#reader.response;
    if (head !== null && head.keepAlive && nothingBehind && this.#socket.writeFailure === null) {
      const keepAlive = fieldValue(head.fields, "keep-alive");
      if (keepAlive !== undefined) this.#owner.keepAlive(keepAlive);
      if (this.#requestDone) {
        this.#release();
        return;
      }
    }
    // The app answered without taking the whole request, or will close: this connection is spent.
    this.#sink = null;
    this.deadline = Infinity;
    sink.end();
    this.#socket.destroy();
  }

  #release(): void {
    const sink = this.#sink;
    this.#sink = null;
    this.used = true;
    this.#reader.flowing = true;
    this.deadline = Infinity;
    // Given back first: the end of this response may begin the next request, which can then have it.
    this.idleSince = Date.now();
    this.#owner.idle(this);
    sink?.end();
  }

  /**
   * unix(7), and net/unix/af_unix.c: a peer that closes a stream socket gives ECONNRESET when it had not accepted
   * the connection, or left unread what was sent; EPIPE when it had closed before. A short request that went out in
   * one write has then been read by nobody, and even a POST may go elsewhere. TCP cannot tell.
   */
  #isUntouched(error: unknown): boolean {
    const code = systemErrorCode(error);
    return (
      this.#address.kind === "unix" &&
      (code === "ECONNRESET" || code === "EPIPE") &&
      !this.#received &&
      this.#writes === 1 &&
      this.#sentBytes <= ONE_READ
    );
  }

  #broke(error: Error): void {
    // Over a Unix socket all that the app wrote is here by now; the reset says that it did not read all of ours.
    if (this.#address.kind === "unix" && this.#reader.response?.bodyLength === -2) this.#ended();
    else this.#fail(failureOf(this.#address, error, this.#received, this.#isUntouched(error)));
  }

  #ended(): void {
    if (this.#tunnel !== null) {
      const tunnel = this.#tunnel;
      this.destroy();
      tunnel.end();
      return;
    }
    const sink = this.#sink;
    if (sink === null) {
      this.#socket.destroy();
      return;
    }
    if (this.#reader.response?.bodyLength === -2) {
      this.#sink = null;
      sink.end();
      this.#socket.destroy();
      return;
    }
    this.#broke(this.#socket.writeFailure ?? new Error("the app closed the connection"));
  }

  #fail(failure: UpstreamFailure): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#deadlines.delete(this);
    this.#socket.destroy();
    sink?.error(failure);
  }
}
