import { messageOf, systemErrorCode } from "../errors.ts";
import type { BodySink, Exchange } from "../exchange/exchange.ts";
import { TemporaryFile } from "./temporary-file.ts";

export interface BufferOptions {
  /** Kept in memory, bytes; what comes beyond goes to a file. */
  readonly memory: number;
  /** Folder for the files; null keeps all in memory. */
  readonly folder: string | null;
}

/** Bytes that may wait to be written to the file while more are read from the client. */
const MOST_UNWRITTEN = 256 * 1024;

/** A request body that is there as a whole. It can be sent more than once. */
export class BufferedBody {
  readonly length: number;
  readonly #parts: readonly Buffer[];
  readonly #file: TemporaryFile | null;

  constructor(length: number, parts: readonly Buffer[], file: TemporaryFile | null) {
    this.length = length;
    this.#parts = parts;
    this.#file = file;
  }

  /** The whole of it, where all of it is in memory; else null. */
  inMemory(): Buffer | null {
    if (this.#file !== null) return null;
    return this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
  }

  /** Its parts in order, from the beginning; those in the file are `size` bytes. */
  async *read(size: number): AsyncGenerator<Buffer> {
    let at = 0;
    for (const part of this.#parts) {
      at += part.length;
      yield part;
    }
    const start = at;
    while (at < this.length) {
      const part = await (this.#file as TemporaryFile).read(Math.min(size, this.length - at), at - start);
      if (part.length === 0) throw new Error("a temporary file is shorter than what was written to it");
      at += part.length;
      yield part;
    }
  }

  discard(): void {
    this.#file?.close();
  }
}

/** What becomes of a body that is taken in. Exactly one of the two is called, unless it is cancelled. */
export interface BodyReceiver {
  whole(body: BufferedBody): void;
  /** `status`: 400, 408, 413 or 507 for the client, 499 when it has gone. `reason`: for the operator. */
  failed(status: number, reason: string): void;
}

/** Takes the body of a request in before the app hears of it. */
export class BodyBuffer implements BodySink {
  readonly #exchange: Exchange;
  readonly #options: BufferOptions & { readonly maxBody: number };
  readonly #receiver: BodyReceiver;
  readonly #parts: Buffer[] = [];
  #unwritten: Buffer[] = [];
  #unwrittenBytes = 0;
  #file: TemporaryFile | null = null;
  #inMemory = 0;
  #inFile = 0;
  #writing = false;
  #ended = false;
  #settled = false;

  constructor(
    exchange: Exchange,
    options: BufferOptions & { readonly maxBody: number },
    receiver: BodyReceiver,
  ) {
    this.#exchange = exchange;
    this.#options = options;
    this.#receiver = receiver;
    exchange.readBody(this);
  }

  /** Nobody wants it any more. */
  cancel(): void {
    this.#settled = true;
    if (!this.#writing) this.#file?.close();
  }

  data(data: Buffer): void {
    if (this.#settled) return;
    const { memory, maxBody, folder } = this.#options;
    if (this.#inMemory + this.#unwrittenBytes + this.#inFile + data.length > maxBody) {
      this.#fail(413, "the request body is longer than maxBody; raise it to let it through");
      return;
    }
    const own = Buffer.from(data);
    const onDisk = this.#inFile > 0 || this.#unwrittenBytes > 0;
    if (folder === null || (!onDisk && this.#inMemory + own.length <= memory)) {
      this.#inMemory += own.length;
      this.#parts.push(own);
      return;
    }
    this.#unwritten.push(own);
    this.#unwrittenBytes += own.length;
    if (this.#unwrittenBytes > MOST_UNWRITTEN) this.#exchange.pauseBody();
    if (!this.#writing) void this.#write(folder);
  }

  end(): void {
    this.#ended = true;
    if (!this.#writing) this.#complete();
  }

  error(status: number, reason: string): void {
    this.#fail(status, reason);
  }

  async #write(folder: string): Promise<void> {
    this.#writing = true;
    try {
      this.#file ??= await TemporaryFile.open(folder);
      while (this.#unwritten.length > 0 && !this.#settled) {
        const data = this.#unwritten.length === 1 ? this.#unwritten[0] : Buffer.concat(this.#unwritten);
        const { length } = data as Buffer;
        this.#unwritten = [];
        await this.#file.write(data as Buffer, this.#inFile);
        this.#inFile += length;
        this.#unwrittenBytes -= length;
        if (!this.#ended && !this.#settled) this.#exchange.resumeBody();
      }
    } catch (error) {
      this.#fail(507, diskProblem(error, folder));
    }
    this.#writing = false;
    if (this.#settled) this.#file?.close();
    else if (this.#ended) this.#complete();
  }

  #complete(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#receiver.whole(new BufferedBody(this.#inMemory + this.#inFile, this.#parts, this.#file));
  }

  #fail(status: number, reason: string): void {
    if (this.#settled) return;
    this.cancel();
    this.#receiver.failed(status, reason);
  }
}

/** The sentence for an operator whose disk took no more. */
export function diskProblem(error: unknown, folder: string): string {
  const code = systemErrorCode(error);
  return code === "ENOSPC" || code === "EDQUOT"
    ? `the disk is full: a body did not fit into ${folder}; free space there, move storage, or lower maxBody`
    : `a body could not be written to ${folder}: ${messageOf(error)}`;
}
