import type { Compression } from "../static/content-coding.ts";
import { streamCompressor, wholeCompressor, type Compressor } from "./compressor.ts";
import { padOutput, paddingLength } from "./length-hiding.ts";

type Done = (error: Error | null, output: readonly Buffer[]) => void;

/**
 * One response body on its way through a compressor, piece by piece, in Node's thread pool.
 *
 * The trip to the pool and back costs 50 to 80 microseconds of processor time, which for 1 to 4 KB is more than the
 * compression itself (docs/compression.md). It is taken all the same: what runs on the event loop is waited for by
 * all other requests of the worker, and of the trip the loop pays a part only.
 */
export class Encoder {
  readonly #coding: Compression;
  readonly #isWhole: boolean;
  /** Bytes; 0 where the length may be seen. */
  readonly #padding: number;
  readonly #compressor: Compressor;
  #output: Buffer[] = [];
  #isFirst = true;
  #isLast = false;
  #done: Done | null = null;

  /**
   * @param size bytes of a body that comes as one piece; -1 where several may come.
   * @param hidesLength whether random bytes are added, see length-hiding.ts.
   */
  constructor(coding: Compression, size: number, hidesLength: boolean) {
    this.#coding = coding;
    this.#isWhole = size >= 0;
    this.#padding = hidesLength ? paddingLength() : 0;
    this.#compressor = this.#isWhole
      ? wholeCompressor(coding, size, hidesLength)
      : streamCompressor(coding, hidesLength);
    this.#compressor.on("data", (bytes: Buffer) => this.#output.push(bytes));
    this.#compressor.on("end", () => this.#settle(null));
    this.#compressor.on("error", (error: Error) => this.#settle(error));
  }

  /**
   * Compresses a piece; `done` gets all that it takes to decode it. MUST NOT be called again before `done`, nor with
   * nothing unless that is the end behind other pieces. `input` MUST NOT change until then.
   */
  encode(input: Buffer, isLast: boolean, done: Done): void {
    this.#done = done;
    this.#isLast = isLast;
    if (input.length === 0) this.#compressor.end();
    else if (isLast && !this.#isWhole) this.#compressor.end(input);
    // An error has its own event.
    else this.#compressor.write(input, (error) => error ?? this.#settle(null));
  }

  /** Gives up: `done` is not called any more. The memory goes when the thread that may be at work has returned. */
  destroy(): void {
    this.#done = null;
    this.#compressor.destroy();
  }

  #settle(error: Error | null): void {
    const done = this.#done;
    if (done === null) return;
    const output = this.#output;
    const piece = { isFirst: this.#isFirst, isLast: this.#isLast };
    this.#done = null;
    this.#output = [];
    this.#isFirst = false;
    const isPadded = this.#padding > 0 && error === null;
    done(error, isPadded ? padOutput(this.#coding, output, piece, this.#padding) : output);
  }
}
