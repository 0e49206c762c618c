import { messageOf } from "../errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseWriter } from "../exchange/response-filter.ts";
import type { BufferOptions } from "./body-buffer.ts";
import { TemporaryFile } from "./temporary-file.ts";

/** Read back from the file at a time, bytes: a write of this size has its minute also on the slowest line. */
const READ_SIZE = 64 * 1024;
/** Bytes that may wait to be written to the file while the app is read on. */
const MOST_UNWRITTEN = 256 * 1024;

/**
 * Stands between an app that writes fast and a client that reads slowly, so that the app's worker is free again as
 * soon as it has written its answer: memory first, then a file. What has gone to the file is read back in order, and
 * once the file is empty memory is used again.
 */
export class ResponseBuffer {
  readonly #exchange: Exchange;
  readonly #response: ResponseWriter;
  readonly #options: BufferOptions & { readonly disk: number };
  /** Room again after a `write` that returned false. */
  readonly #drained: () => void;
  #parts: Buffer[] = [];
  #inMemory = 0;
  #unwritten: Buffer[] = [];
  #unwrittenBytes = 0;
  #file: TemporaryFile | null = null;
  #writtenTo = 0;
  #readTo = 0;
  /** The file is being opened, written or read. */
  #busy = false;
  #diskFailed = false;
  #flowing = true;
  #full = false;
  #ended = false;
  #closed = false;

  /** `response`: the exchange, or what filters have put in front of it. */
  constructor(
    exchange: Exchange,
    response: ResponseWriter,
    options: BufferOptions & { readonly disk: number },
    drained: () => void,
  ) {
    this.#exchange = exchange;
    this.#response = response;
    this.#options = options;
    this.#drained = drained;
    response.onDrain = () => {
      this.#flowing = true;
      this.#pump();
    };
  }

  /** Anything that the client has not been given yet. */
  get pending(): boolean {
    return !this.#isEmpty();
  }

  /** `data` is valid during the call only. False when there is no room left: stop reading until `drained`. */
  write(data: Buffer): boolean {
    if (this.#closed) return true;
    if (this.#flowing && this.#isEmpty()) {
      this.#flowing = this.#response.write(data, true);
      return true;
    }
    const { memory, folder, disk } = this.#options;
    const onDisk = this.#unwrittenBytes > 0 || this.#writtenTo > 0;
    const own = Buffer.from(data);
    if (!onDisk && (this.#inMemory + own.length <= memory || folder === null || this.#diskFailed)) {
      this.#inMemory += own.length;
      this.#parts.push(own);
      this.#full = this.#inMemory >= memory && (folder === null || this.#diskFailed);
    } else {
      this.#unwritten.push(own);
      this.#unwrittenBytes += own.length;
      this.#full =
        this.#diskFailed ||
        this.#unwrittenBytes > MOST_UNWRITTEN ||
        this.#writtenTo + this.#unwrittenBytes > disk;
      void this.#work();
    }
    return !this.#full;
  }

  /** The app's response is whole; the client gets the rest in its own time. */
  end(): void {
    this.#ended = true;
    this.#pump();
  }

  /** The client has gone, or the response broke. */
  close(): void {
    this.#closed = true;
    this.#parts = [];
    this.#unwritten = [];
    if (!this.#busy) this.#file?.close();
  }

  #isEmpty(): boolean {
    return this.#parts.length === 0 && this.#unwrittenBytes === 0 && this.#readTo === this.#writtenTo;
  }

  /** Gives the client what there is, and sees to what is left. */
  #pump(): void {
    this.#give();
    if (this.#closed) return;
    if (this.#isEmpty()) {
      if (this.#ended) {
        this.close();
        this.#response.finish();
        return;
      }
    } else if (this.#hasWork()) {
      void this.#work();
    }
    this.#roomAgain();
  }

  #give(): void {
    while (this.#flowing && this.#parts.length > 0 && !this.#closed) {
      const part = this.#parts.shift() as Buffer;
      this.#inMemory -= part.length;
      this.#flowing = this.#response.write(part);
    }
  }

  #roomAgain(): void {
    if (!this.#full) return;
    const { memory, disk } = this.#options;
    if (this.#inMemory > memory / 2 || this.#unwrittenBytes > MOST_UNWRITTEN / 2) return;
    if (this.#writtenTo > disk / 2) return;
    this.#full = false;
    this.#drained();
  }

  #hasWork(): boolean {
    const canRead = this.#flowing && this.#parts.length === 0;
    return (
      (this.#unwritten.length > 0 && (!this.#diskFailed || (canRead && this.#readTo === this.#writtenTo))) ||
      (canRead && this.#readTo < this.#writtenTo)
    );
  }

  /** Writes what waits for the file, and reads back what the client can take; one at a time. */
  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (!this.#closed && this.#hasWork()) {
        if (this.#unwritten.length > 0 && !this.#diskFailed) await this.#writeOut();
        else if (this.#readTo < this.#writtenTo) await this.#readBack();
        else this.#keepInMemory();
        this.#give();
      }
    } catch (error) {
      this.#exchange.failure ||= `a buffered response could not be read back: ${messageOf(error)}`;
      this.close();
      this.#response.abort();
    } finally {
      this.#busy = false;
      if (this.#closed) this.#file?.close();
    }
    this.#pump();
  }

  async #writeOut(): Promise<void> {
    const waiting = this.#unwritten;
    this.#unwritten = [];
    try {
      this.#file ??= await TemporaryFile.open(this.#options.folder as string);
      const data = Buffer.concat(waiting);
      await this.#file.write(data, this.#writtenTo);
      this.#writtenTo += data.length;
      this.#unwrittenBytes -= data.length;
    } catch {
      // The disk is full: the app waits for the client from here on, as it would without a buffer.
      this.#diskFailed = true;
      this.#full = true;
      this.#unwritten = [...waiting, ...this.#unwritten];
    }
  }

  /** What could not be written follows what has been read back from the file. */
  #keepInMemory(): void {
    this.#parts = this.#unwritten;
    this.#inMemory = this.#unwrittenBytes;
    this.#unwritten = [];
    this.#unwrittenBytes = 0;
  }

  async #readBack(): Promise<void> {
    const file = this.#file as TemporaryFile;
    const length = Math.min(READ_SIZE, this.#writtenTo - this.#readTo);
    const part = await file.read(length, this.#readTo);
    if (part.length < length) throw new Error("the file is shorter than what was written to it");
    this.#readTo += length;
    this.#parts.push(part);
    this.#inMemory += length;
    if (this.#readTo < this.#writtenTo) return;
    this.#readTo = 0;
    this.#writtenTo = 0;
    await file.truncate();
  }
}
