import { CHUNK_SIZE_LINE, FIELD_VALUE, LIMITS, TOKEN } from "./grammar.ts";
import { MessageError } from "./problem.ts";

const CR = 13;
const LF = 10;

type State = "size" | "data" | "data-end" | "trailer" | "done";

/**
 * Decodes the chunked transfer coding (RFC 9112 section 7.1) from bytes in any split. Chunk extensions are
 * checked and dropped; trailers are checked and dropped too (section 6.5.1 lets a recipient discard them), since
 * neither WSGI nor a browser can make use of them.
 */
export class ChunkedDecoder {
  #state: State = "size";
  #remaining = 0;
  #line = "";
  #trailerBytes = 0;
  readonly #status: number;
  readonly #onData: (data: Buffer) => void;

  /** `onData` gets views of the bytes fed in: valid during the call only. */
  constructor(status: number, onData: (data: Buffer) => void) {
    this.#status = status;
    this.#onData = onData;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes bytes from `offset`; returns the offset past what belongs to this body. */
  feed(bytes: Buffer, offset: number): number {
    let at = offset;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const end = Math.min(bytes.length, at + this.#remaining);
        this.#onData(bytes.subarray(at, end));
        this.#remaining -= end - at;
        at = end;
        if (this.#remaining === 0) this.#state = "data-end";
      } else {
        at = this.#takeLine(bytes, at);
      }
    }
    return at;
  }

  #takeLine(bytes: Buffer, at: number): number {
    const feed = bytes.indexOf(LF, at);
    const end = feed === -1 ? bytes.length : feed + 1;
    const limit = this.#state === "trailer" ? LIMITS.trailerBytes : LIMITS.chunkLine;
    if (this.#line.length + end - at > limit)
      throw new MessageError(this.#status, "a chunk line is too long");
    this.#line += bytes.toString("latin1", at, end);
    if (feed === -1) return end;
    if (this.#line.length < 2 || this.#line.charCodeAt(this.#line.length - 2) !== CR) {
      throw new MessageError(this.#status, "a chunk line that ends without CRLF");
    }
    const line = this.#line.slice(0, -2);
    this.#line = "";
    this.#endLine(line);
    return end;
  }

  #endLine(line: string): void {
    switch (this.#state) {
      case "size": {
        const match = CHUNK_SIZE_LINE.exec(line);
        if (match === null)
          throw new MessageError(
            this.#status,
            "a chunk size that is not hexadecimal, or an extension that is none",
          );
        this.#remaining = Number.parseInt(match[1] as string, 16);
        this.#state = this.#remaining === 0 ? "trailer" : "data";
        return;
      }
      case "data-end":
        if (line !== "") throw new MessageError(this.#status, "a chunk longer than its size");
        this.#state = "size";
        return;
      case "trailer": {
        if (line === "") {
          this.#state = "done";
          return;
        }
        this.#trailerBytes += line.length + 2;
        const colon = line.indexOf(":");
        if (this.#trailerBytes > LIMITS.trailerBytes)
          throw new MessageError(this.#status, "trailers too long");
        if (colon <= 0 || !TOKEN.test(line.slice(0, colon)) || !FIELD_VALUE.test(line.slice(colon + 1))) {
          throw new MessageError(this.#status, "a trailer that is not a field line");
        }
        return;
      }
      default:
        throw new MessageError(this.#status, "bytes after the end of a chunked body");
    }
  }
}
