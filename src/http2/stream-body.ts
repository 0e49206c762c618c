import type { ServerHttp2Stream } from "node:http2";
import { BodyRate } from "../exchange/body-rate.ts";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import type { BodySink } from "../exchange/exchange.ts";

/** The body of one request on a stream. Pausing it closes the stream's window, so that the client stops. */
export class StreamBody implements Expiring {
  deadline = Infinity;
  done: boolean;
  readonly #stream: ServerHttp2Stream;
  readonly #length: number;
  readonly #deadlines: Deadlines;
  /** Milliseconds. */
  readonly #span: number;
  readonly #rate: BodyRate;
  readonly #broken: () => void;
  #sink: BodySink | null = null;
  #received = 0;

  /** `length`: bytes, or -1 where only the end will tell. `ended`: the head was all. `span`: `timeouts.body`. `broken`: by the client. */
  constructor(
    stream: ServerHttp2Stream,
    length: number,
    ended: boolean,
    deadlines: Deadlines,
    span: number,
    broken: () => void,
  ) {
    this.#broken = broken;
    this.#stream = stream;
    this.#length = length;
    this.#deadlines = deadlines;
    this.#span = span;
    this.#rate = new BodyRate(span);
    this.done = ended;
  }

  /** Begins to deliver. */
  start(sink: BodySink): void {
    if (this.done) {
      sink.end();
      return;
    }
    this.#sink = sink;
    this.#watch();
    this.#stream.on("data", (data: Buffer) => this.#receive(data));
    this.#stream.on("end", () => this.#ended());
  }

  pause(): void {
    if (this.done || this.#sink === null) return;
    this.unwatch();
    this.#stream.pause();
  }

  resume(): void {
    if (this.done || this.#sink === null) return;
    this.#rate.restart();
    this.#watch();
    this.#stream.resume();
  }

  /** Called by the sweep. */
  expire(now: number): void {
    if (this.#rate.fastEnough()) this.deadline = now + this.#span;
    else this.#fail(408, "the request body came slower than 1 KB/s");
  }

  /** What still comes is dropped. A stream left paused would never end, nor its session. */
  discard(): void {
    this.unwatch();
    this.#sink = null;
    this.#stream.resume();
  }

  unwatch(): void {
    this.deadline = Infinity;
    this.#deadlines.delete(this);
  }

  #watch(): void {
    this.deadline = Date.now() + this.#span;
    this.#deadlines.add(this);
  }

  #receive(data: Buffer): void {
    this.#received += data.length;
    this.#rate.count(data.length);
    if (this.#length >= 0 && this.#received > this.#length)
      this.#fail(400, "more bytes than Content-Length said");
    else this.#sink?.data(data);
  }

  #ended(): void {
    this.done = true;
    this.unwatch();
    if (this.#length >= 0 && this.#received !== this.#length)
      this.#fail(400, "fewer bytes than Content-Length said");
    else if (!this.#stream.aborted) this.#sink?.end();
  }

  #fail(status: number, reason: string): void {
    const sink = this.#sink;
    this.#broken();
    this.discard();
    sink?.error(status, reason);
  }
}
