import type { FileHandle } from "node:fs/promises";
import { messageOf } from "../errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseWriter } from "../exchange/response-filter.ts";

/** Bytes of one read of a large file: at 64 KB the system calls cost twice nginx's CPU, at 256 KB nearly nothing. */
const READ_SIZE = 256 * 1024;

/** A part of an open file; `start` and `length` in bytes. */
interface FilePart {
  /** Closed by FileSending, whatever becomes of the response. */
  readonly handle: FileHandle;
  readonly start: number;
  readonly length: number;
}

/** Sends a part of an open file: one read ahead of the client and no more. */
export class FileSending {
  readonly #exchange: Exchange;
  readonly #response: ResponseWriter;
  readonly #handle: FileHandle;
  #position: number;
  #remaining: number;
  #ended = false;
  #buffer: Buffer | null = null;

  /** `response`: the exchange, or what filters have put in front of it. */
  constructor(exchange: Exchange, response: ResponseWriter, part: FilePart) {
    this.#exchange = exchange;
    this.#response = response;
    this.#handle = part.handle;
    this.#position = part.start;
    this.#remaining = part.length;
  }

  begin(status: number, fields: readonly string[]): void {
    // The client may have gone while the disk was asked; then the exchange is settled and tells nobody any more.
    if (this.#exchange.onSettled === null) {
      this.#close();
      return;
    }
    this.#response.onClose = () => this.#close();
    this.#response.onDrain = () => void this.#pump();
    this.#response.begin(status, fields, this.#remaining);
    void this.#pump();
  }

  async #pump(): Promise<void> {
    try {
      while (this.#remaining > 0) {
        const buffer = this.#buffer ?? Buffer.allocUnsafeSlow(Math.min(READ_SIZE, this.#remaining));
        const wanted = Math.min(buffer.length, this.#remaining);
        this.#buffer = null;
        const { bytesRead } = await this.#handle.read(buffer, 0, wanted, this.#position);
        if (this.#ended) return;
        if (bytesRead === 0) throw new Error("the file became shorter while it was sent");
        this.#position += bytesRead;
        this.#remaining -= bytesRead;
        const last = this.#remaining === 0;
        const flowing = this.#response.write(
          bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead),
        );
        if (!last && !flowing) {
          // Drained means written: then the buffer is free, and a fresh one would cost a page fault per 4 KB. What a
          // filter has done with it by then is its own business.
          if (this.#response === this.#exchange) this.#buffer = buffer;
          return;
        }
      }
      this.#close();
      this.#response.finish();
    } catch (error) {
      if (this.#ended) return;
      this.#close();
      this.#exchange.failure = messageOf(error);
      this.#response.abort();
    }
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handle.close().catch(() => undefined);
  }
}
