import { SLOWEST } from "../exchange/body-rate.ts";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";

/** What a session has sent, and how many of its streams wait to send more. */
export interface SessionWrites {
  /** Bytes that the kernel has taken since the connection began. */
  readonly sent: number;
  waiting: number;
  /** A stream was given up while the session sent nothing: the socket itself may be what is stalled. */
  suspect(): void;
}

/**
 * nghttp2 serves waiting streams in turn, one write of each at a time. When the session has sent twice the largest
 * write (256 KB) for each, it was every stream's turn; one that has still sent nothing has no window.
 */
const ROUND = 512 * 1024;

/**
 * Watches what one stream has to write. Node tells when a write is complete and nothing in between, and on a slow
 * line a stream may rightly wait for the others'. So it counts as stalled where the session as a whole has sent less
 * than 1 KB/s, or so much that the stream must have had its turn: a client cannot hold many by reading one.
 */
export class WriteWatch implements Expiring {
  deadline = Infinity;
  readonly #writes: SessionWrites;
  readonly #deadlines: Deadlines;
  /** Milliseconds. */
  readonly #span: number;
  readonly #stalled: () => void;
  #sentBefore = 0;
  #sentAtSpan = 0;

  /** `span`: `timeouts.write`. */
  constructor(writes: SessionWrites, deadlines: Deadlines, span: number, stalled: () => void) {
    this.#writes = writes;
    this.#deadlines = deadlines;
    this.#span = span;
    this.#stalled = stalled;
  }

  /** Something waits to be sent. */
  begin(): void {
    if (this.deadline !== Infinity) return;
    this.deadline = Date.now() + this.#span;
    this.#sentBefore = this.#sentAtSpan = this.#writes.sent;
    this.#writes.waiting++;
    this.#deadlines.add(this);
  }

  /** All is sent, or nobody waits for it any more. */
  end(): void {
    if (this.deadline === Infinity) return;
    this.deadline = Infinity;
    this.#writes.waiting--;
    this.#deadlines.delete(this);
  }

  /** Called by the sweep. */
  expire(now: number): void {
    const { sent, waiting } = this.#writes;
    const inSpan = sent - this.#sentAtSpan;
    this.#sentAtSpan = sent;
    if (inSpan >= (SLOWEST * this.#span) / 1000 && sent - this.#sentBefore < waiting * ROUND) {
      this.deadline = now + this.#span;
      return;
    }
    this.end();
    if (inSpan === 0) this.#writes.suspect();
    this.#stalled();
  }
}
