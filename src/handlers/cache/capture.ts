import type { Exchange } from "../../exchange/exchange.ts";
import type { ResponseFilter, ResponseWriter } from "../../exchange/response-filter.ts";
import { cacheStatus, type CacheOutcome } from "./cache-status.ts";

export interface CaptureEvents {
  /** The body is there as a whole; says what became of it. */
  whole(body: Buffer): CacheOutcome;
  /** It is longer than `largest` and goes to the client alone. */
  tooLarge(): CacheOutcome;
  /** The response broke off. */
  broken(): void;
}

export interface CaptureOptions {
  /** Bytes. */
  readonly largest: number;
  /** The client's head waits for the end of the body, since only that tells whether it may be stored. */
  readonly hold: boolean;
  /** For a head that does not wait. */
  readonly outcome: CacheOutcome;
  readonly filter: ResponseFilter;
}

/**
 * Keeps a response while it goes to the client who asked for it. The app is never slowed down by that client: what it
 * has not taken yet is in memory anyway, and others wait for the end of it. For the same reason the response is read
 * to its end where the client goes away.
 */
export class Capture implements ResponseWriter {
  onDrain: (() => void) | null = null;
  /** What gives the request up. */
  onClose: (() => void) | null;
  readonly #exchange: Exchange;
  readonly #options: CaptureOptions;
  readonly #events: CaptureEvents;
  #status = 0;
  #fields: string[] = [];
  #length = -1;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Of `#parts`. */
  #sent = 0;
  #client: ResponseWriter | null = null;
  #flowing = true;
  #storing = true;
  #gone = false;
  #ended = false;

  constructor(exchange: Exchange, options: CaptureOptions, events: CaptureEvents) {
    this.#exchange = exchange;
    this.#options = options;
    this.#events = events;
    this.onClose = exchange.onClose;
    exchange.onClose = () => this.#clientGone();
  }

  begin(status: number, fields: readonly string[], length: number): void {
    this.#status = status;
    this.#fields = [...fields];
    this.#length = length;
    if (!this.#options.hold) this.#release(this.#options.outcome);
  }

  write(chunk: Buffer, transient = false): boolean {
    this.#parts.push(transient ? Buffer.from(chunk) : chunk);
    this.#bytes += chunk.length;
    if (this.#storing && this.#bytes > this.#options.largest) {
      this.#storing = false;
      const outcome = this.#events.tooLarge();
      if (this.#gone) {
        this.onClose?.();
        return true;
      }
      if (this.#client === null) this.#release(outcome);
    }
    this.#pump();
    return this.#storing || this.#flowing;
  }

  finish(): void {
    this.#ended = true;
    if (this.#storing) {
      const outcome = this.#events.whole(Buffer.concat(this.#parts, this.#bytes));
      if (this.#client === null) {
        this.#length = this.#bytes;
        this.#release(outcome);
      }
    }
    this.#pump();
  }

  abort(): void {
    if (this.#storing) this.#events.broken();
    this.#parts = [];
    (this.#client ?? this.#exchange).abort();
  }

  #release(outcome: CacheOutcome): void {
    // What went wrong while the head waited may have become an error page.
    if (this.#gone || this.#exchange.status !== 0) return;
    this.#fields.push("cache-status", cacheStatus(outcome));
    const client = this.#options.filter(
      this.#exchange,
      this.#status,
      this.#fields,
      this.#length,
      this.#exchange,
    );
    this.#client = client;
    client.onDrain = () => {
      this.#flowing = true;
      this.#pump();
      if (this.#flowing && !this.#storing) this.onDrain?.();
    };
    client.begin(this.#status, this.#fields, this.#length);
  }

  #pump(): void {
    const client = this.#client;
    if (client === null) return;
    while (this.#flowing && this.#sent < this.#parts.length) {
      this.#flowing = client.write(this.#parts[this.#sent++] as Buffer);
      if (this.#gone) return;
    }
    if (this.#sent < this.#parts.length) return;
    if (!this.#storing) {
      this.#parts = [];
      this.#sent = 0;
    }
    if (!this.#ended) return;
    this.#client = null;
    client.onDrain = null;
    client.finish();
  }

  #clientGone(): void {
    this.#gone = true;
    this.#client = null;
    this.#exchange.failure ||= "the client went away";
    if (!this.#storing || this.#ended) this.onClose?.();
  }
}
