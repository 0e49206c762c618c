import { messageOf } from "../../errors.ts";
import type { Exchange } from "../../exchange/exchange.ts";
import type { ResponseWriter } from "../../exchange/response-filter.ts";
import type { Compression } from "../static/content-coding.ts";
import { compressedFields } from "./response-fields.ts";
import { Encoder } from "./encoder.ts";

/** Bytes of a body below which a compressed one saves nothing that a packet would notice. */
export const SMALLEST = 1024;

/**
 * Bytes that wait for the compressor until the handler is stopped. With one read of the app on top, one batch in the
 * thread pool and what that gave, a response whose client is slow holds some 300 KB.
 */
const MOST_QUEUED = 64 * 1024;

const NOTHING = Buffer.alloc(0);

/**
 * A response body that is compressed on its way to the client.
 *
 * What came while the last batch was in the thread pool makes the next batch, and each batch is flushed: a stream
 * that the app writes slowly arrives chunk by chunk, and one that it writes fast in batches that compress better.
 * Where the first batch is the whole body (every Django page with a Content-Length, up to the 64 KB of one read),
 * the head waits for it, so that the response gets the Content-Length of the compressed body, or stays as it was
 * where compression gains nothing.
 */
export class CompressedResponse implements ResponseWriter {
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null;
  readonly #exchange: Exchange;
  readonly #next: ResponseWriter;
  readonly #coding: Compression;
  readonly #hidesLength: boolean;
  #status = 0;
  #fields: readonly string[] = [];
  /** Bytes that the body will have; -1 where unknown. */
  #length = -1;
  #received = 0;
  #queue: Buffer[] = [];
  #queued = 0;
  #encoder: Encoder | null = null;
  /** The head has gone on. */
  #begun = false;
  /** The handler has finished. */
  #ended = false;
  /** The last batch is with the encoder, or has been. */
  #lastTaken = false;
  #busy = false;
  #scheduled = false;
  /** The handler was told to stop. */
  #stopped = false;
  /** The client was too slow for the last batch. */
  #blocked = false;
  #closed = false;

  constructor(exchange: Exchange, next: ResponseWriter, coding: Compression, hidesLength: boolean) {
    this.#exchange = exchange;
    this.#next = next;
    this.#coding = coding;
    this.#hidesLength = hidesLength;
    this.onClose = next.onClose;
    next.onClose = () => {
      this.#close();
      this.onClose?.();
    };
    next.onDrain = () => {
      this.#blocked = false;
      this.#pump();
    };
  }

  begin(status: number, fields: readonly string[], length: number): void {
    this.#status = status;
    this.#fields = fields;
    this.#length = length;
  }

  write(chunk: Buffer, transient = false): boolean {
    if (this.#closed || chunk.length === 0) return true;
    this.#queue.push(transient ? Buffer.from(chunk) : chunk);
    this.#queued += chunk.length;
    this.#received += chunk.length;
    this.#schedule();
    this.#stopped = this.#queued >= MOST_QUEUED;
    return !this.#stopped;
  }

  finish(): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    if (this.#length >= 0 && this.#received !== this.#length) {
      this.#exchange.failure ||= `the body had ${this.#received} bytes and not the ${this.#length} of its Content-Length`;
      this.abort();
    } else if (this.#lastTaken && !this.#busy) this.#finishNext();
    else this.#schedule();
  }

  abort(): void {
    if (this.#closed) return;
    this.#close();
    this.#next.abort();
  }

  /** Not at once: the chunks of one read, and the end that may be in it too, shall make one batch. */
  #schedule(): void {
    if (this.#scheduled || this.#busy || this.#blocked) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#closed || this.#busy || this.#blocked || this.#lastTaken) return;
    if (this.#isAnsweredOtherwise()) return;
    const isLast = this.#ended || this.#received === this.#length;
    if (!isLast && this.#queued === 0) return;
    if (this.#encoder === null) {
      if (isLast && this.#received < SMALLEST) {
        this.#lastTaken = true;
        this.#sendAsIs(this.#takeQueue());
        return;
      }
      this.#encoder = new Encoder(this.#coding, isLast ? this.#received : -1, this.#hidesLength);
      if (!isLast) this.#beginCompressed(-1);
    }
    this.#busy = true;
    this.#lastTaken = isLast;
    const input = this.#takeQueue();
    this.#encoder.encode(input, isLast, (error, output) => this.#encoded(input, error, output));
    if (!this.#stopped) return;
    this.#stopped = false;
    this.onDrain?.();
  }

  #encoded(input: Buffer, error: Error | null, output: readonly Buffer[]): void {
    this.#busy = false;
    if (this.#isAnsweredOtherwise()) return;
    if (!this.#begun) {
      const total = output.reduce((sum, bytes) => sum + bytes.length, 0);
      if (error !== null || total >= input.length) {
        this.#sendAsIs(input);
        return;
      }
      this.#beginCompressed(total);
    } else if (error !== null) {
      this.#exchange.failure ||= `the response could not be compressed: ${messageOf(error)}`;
      this.abort();
      return;
    }
    let flowing = true;
    for (const bytes of output) flowing = this.#next.write(bytes);
    if (this.#lastTaken) {
      if (this.#ended) this.#finishNext();
    } else if (flowing) this.#pump();
    else this.#blocked = true;
  }

  #beginCompressed(length: number): void {
    this.#begun = true;
    this.#next.begin(this.#status, compressedFields(this.#fields, this.#coding), length);
  }

  #sendAsIs(body: Buffer): void {
    this.#begun = true;
    this.#next.begin(this.#status, this.#fields, body.length);
    if (body.length > 0) this.#next.write(body);
    if (this.#ended) this.#finishNext();
  }

  #finishNext(): void {
    this.#close();
    this.#next.finish();
  }

  /** An error page may have been sent while the head was held back; then nothing of this response may follow. */
  #isAnsweredOtherwise(): boolean {
    if (this.#begun || this.#exchange.status === 0) return false;
    this.#close();
    return true;
  }

  #takeQueue(): Buffer {
    const batch = this.#queue.length === 1 ? (this.#queue[0] as Buffer) : Buffer.concat(this.#queue);
    this.#queue = [];
    this.#queued = 0;
    return batch.length === 0 ? NOTHING : batch;
  }

  #close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#encoder?.destroy();
  }
}
