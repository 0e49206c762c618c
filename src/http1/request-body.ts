import { BodyRate } from "../exchange/body-rate.ts";
import type { BodySink } from "../exchange/exchange.ts";
import { ChunkedDecoder } from "./chunked.ts";
import type { ServerConnection } from "./server-connection.ts";

/** The body of one request: what has come before a sink is there is kept, with the socket paused. */
export class RequestBody {
  done = false;
  reading = false;
  readonly #connection: ServerConnection;
  readonly #decoder: ChunkedDecoder | null;
  #remaining: number;
  #sink: BodySink | null = null;
  #early: Buffer[] = [];
  #failure: { status: number; reason: string } | null = null;
  readonly #rate: BodyRate;

  constructor(connection: ServerConnection, length: number) {
    this.#connection = connection;
    this.#remaining = length;
    this.#rate = new BodyRate(connection.options.timeouts.body);
    this.#decoder = length === -1 ? new ChunkedDecoder(400, (data) => this.#deliver(data)) : null;
  }

  /** Returns how many of the bytes belong to this body. */
  feed(bytes: Buffer): number {
    // What follows a breach is not framed by anything: dropped, so that no sink hears data or an end after an error.
    if (this.#failure !== null) return bytes.length;
    let used: number;
    if (this.#decoder !== null) {
      used = this.#decoder.feed(bytes, 0);
      if (this.#decoder.done) this.#complete();
    } else {
      used = Math.min(this.#remaining, bytes.length);
      this.#remaining -= used;
      this.#deliver(used === bytes.length ? bytes : bytes.subarray(0, used));
      if (this.#remaining === 0) this.#complete();
    }
    if (this.#sink === null && !this.done) this.#connection.socket.pause();
    return used;
  }

  /** Begins to deliver. */
  start(sink: BodySink): void {
    this.#sink = sink;
    this.reading = true;
    for (const data of this.#early) sink.data(data);
    this.#early = [];
    if (this.#failure !== null) {
      this.reading = false;
      sink.error(this.#failure.status, this.#failure.reason);
    } else if (this.done) sink.end();
    else {
      this.#connection.watchBody();
      this.#connection.socket.resume();
    }
  }

  pause(): void {
    if (this.done || this.#failure !== null) return;
    this.reading = false;
    this.#connection.unwatch();
    this.#connection.socket.pause();
  }

  resume(): void {
    if (this.done || this.#failure !== null) return;
    this.reading = true;
    this.#rate.restart();
    this.#connection.watchBody();
    this.#connection.socket.resume();
  }

  fail(status: number, reason: string): void {
    if (this.done || this.#failure !== null) return;
    this.#failure = { status, reason };
    this.reading = false;
    this.#connection.unwatch();
    this.#sink?.error(status, reason);
  }

  /** Whether the last span brought enough; begins a new span. */
  fastEnough(): boolean {
    return this.#rate.fastEnough();
  }

  #deliver(data: Buffer): void {
    this.#rate.count(data.length);
    if (data.length === 0) return;
    if (this.#sink === null) this.#early.push(data);
    else this.#sink.data(data);
  }

  #complete(): void {
    this.done = true;
    this.#connection.unwatch();
    this.#sink?.end();
  }
}
