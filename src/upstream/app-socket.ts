import { Socket } from "node:net";
import type { SocketConstructorOpts } from "node:net";
import { systemErrorCode } from "../errors.ts";

/** write(2): the other side has closed, or has closed without having read all. */
const CLOSED = new Set(["EPIPE", "ECONNRESET"]);

/**
 * A socket that is read to its end although nothing more can be written to it. An app that answers before it has
 * read the whole request, and closes, makes the next write fail; its answer waits in the kernel. Node destroys a
 * socket whose write fails, and that answer with it (RFC 9112 section 9.5: a client ought to look for a response
 * while it sends the request).
 *
 * `_write` and `_writev` are what Node's documentation lets a stream replace; the failure is kept, and what is written
 * from then on is dropped.
 */
export class AppSocket extends Socket {
  /** Why nothing can be written any more; null as long as it can. */
  writeFailure: Error | null = null;
  /** Called once, when `writeFailure` is there. */
  readonly #failed: () => void;
  /** Of the one write that is under way. */
  #callback: (error?: Error | null) => void = () => undefined;
  readonly #written = (error?: Error | null): void => {
    if (!error || !CLOSED.has(systemErrorCode(error) ?? "")) {
      this.#callback(error);
      return;
    }
    this.writeFailure = error;
    this.#callback();
    this.#failed();
  };

  constructor(options: SocketConstructorOpts, failed: () => void) {
    super(options);
    this.#failed = failed;
  }

  override _write(chunk: unknown, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.writeFailure !== null) {
      callback();
      return;
    }
    this.#callback = callback;
    super._write(chunk, encoding, this.#written);
  }

  override _writev(
    chunks: { chunk: unknown; encoding: BufferEncoding }[],
    callback: (error?: Error | null) => void,
  ): void {
    if (this.writeFailure !== null) {
      callback();
      return;
    }
    this.#callback = callback;
    super._writev?.(chunks, this.#written);
  }
}
