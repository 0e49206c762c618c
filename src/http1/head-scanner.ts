import { LIMITS } from "./grammar.ts";
import { MessageError } from "./problem.ts";

const LF = 10;
const CR = 13;

/**
 * Finds the end of a message head in bytes that come in any split. It looks at each line once; a line feed
 * without its carriage return is refused as soon as it is seen (RFC 9112 section 2.2 would allow it; request
 * smuggling lives on parsers that differ here), and so is a head that grows past its limits.
 */
export class HeadScanner {
  #lineStart = 0;
  #searchFrom = 0;
  #firstLine = true;
  readonly #status: number;

  /** `status`: what a breach answers with, 400 for a request and 502 for a response. */
  constructor(status: number) {
    this.#status = status;
  }

  /** The offset just past the empty line, or -1 while it is not there. `bytes` MUST only ever grow. */
  scan(bytes: Buffer): number {
    for (;;) {
      const feed = bytes.indexOf(LF, this.#searchFrom);
      const lineEnd = feed === -1 ? bytes.length : feed;
      if (this.#firstLine && lineEnd - this.#lineStart > LIMITS.startLine + 1) {
        throw new MessageError(this.#status === 400 ? 414 : this.#status, "the start line is too long");
      }
      if (!this.#firstLine && lineEnd > LIMITS.startLine + LIMITS.fieldBytes) {
        throw new MessageError(this.#status === 400 ? 431 : this.#status, "the fields are too long");
      }
      if (feed === -1) {
        this.#searchFrom = bytes.length;
        return -1;
      }
      if (feed === 0 || bytes[feed - 1] !== CR) {
        throw new MessageError(this.#status, "a line that ends without CRLF");
      }
      this.#searchFrom = feed + 1;
      if (feed - 1 === this.#lineStart) {
        if (this.#firstLine) throw new MessageError(this.#status, "an empty start line");
        this.reset();
        return feed + 1;
      }
      this.#lineStart = feed + 1;
      this.#firstLine = false;
    }
  }

  reset(): void {
    this.#lineStart = 0;
    this.#searchFrom = 0;
    this.#firstLine = true;
  }
}
