import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseWriter } from "../exchange/response-filter.ts";
import { fieldValue } from "../http1/fields.ts";

/** Milliseconds between two writes: often enough for a film to play, rarely enough to cost nothing. */
const STEP = 100;

/** The exchange, or where the app asked for it by X-Accel-Limit-Rate, a slower one in front of it. */
export function paced(exchange: Exchange, appFields: readonly string[]): ResponseWriter {
  const value = fieldValue(appFields, "x-accel-limit-rate");
  // As in nginx, 0 and `off` mean no limit, and so does what is no number.
  if (value === undefined || !/^[1-9][0-9]{0,14}$/.test(value)) return exchange;
  return new PacedResponse(exchange, Number(value));
}

/**
 * Lets a body through at a rate. The first second's bytes go at once, as in nginx: what is that short is not worth
 * holding. It stands nearest to the client, so that the rate is that of the bytes on the line.
 */
export class PacedResponse implements ResponseWriter {
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null;
  readonly #next: ResponseWriter;
  readonly #rate: number;
  #startedAt = 0;
  #sent = 0;
  #queue: Buffer[] = [];
  #flowing = true;
  /** The writer behind was told to stop. */
  #stopped = false;
  #ended = false;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;

  /** `rate`: bytes a second. */
  constructor(next: ResponseWriter, rate: number) {
    this.#next = next;
    this.#rate = rate;
    this.onClose = next.onClose;
    next.onClose = () => {
      this.#close();
      this.onClose?.();
    };
    next.onDrain = () => {
      this.#flowing = true;
      this.#pump();
    };
  }

  begin(status: number, fields: readonly string[], length: number): void {
    this.#startedAt = performance.now();
    this.#next.begin(status, fields, length);
  }

  write(chunk: Buffer, transient = false): boolean {
    if (this.#closed || chunk.length === 0) return true;
    if (this.#queue.length === 0 && this.#flowing && chunk.length <= this.#allowed()) {
      this.#sent += chunk.length;
      this.#flowing = this.#next.write(chunk, transient);
      this.#stopped = !this.#flowing;
      return this.#flowing;
    }
    this.#queue.push(transient ? Buffer.from(chunk) : chunk);
    this.#pump();
    this.#stopped = !this.#flowing || this.#queue.length > 0;
    return !this.#stopped;
  }

  finish(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    if (this.#queue.length === 0) this.#finishNext();
  }

  abort(): void {
    this.#close();
    this.#next.abort();
  }

  /** Bytes that may go now. */
  #allowed(): number {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return Math.floor(this.#rate * (seconds + 1)) - this.#sent;
  }

  #pump(): void {
    while (this.#flowing && !this.#closed && this.#queue.length > 0) {
      const first = this.#queue[0] as Buffer;
      const allowed = this.#allowed();
      if (allowed < Math.min(first.length, (this.#rate * STEP) / 1000) || allowed < 1) {
        this.#timer ??= setTimeout(() => {
          this.#timer = null;
          this.#pump();
        }, STEP);
        return;
      }
      const part = first.subarray(0, allowed);
      if (part.length === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(part.length);
      this.#sent += part.length;
      this.#flowing = this.#next.write(part);
    }
    if (this.#closed || this.#queue.length > 0) return;
    if (this.#ended) this.#finishNext();
    else if (this.#flowing && this.#stopped) {
      this.#stopped = false;
      this.onDrain?.();
    }
  }

  #finishNext(): void {
    this.#close();
    this.#next.finish();
  }

  #close(): void {
    this.#closed = true;
    this.#queue = [];
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
