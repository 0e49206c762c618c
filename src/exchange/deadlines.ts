/** Something that must make progress by a time; the sweep calls it when it has not. */
export interface Expiring {
  /** Milliseconds since the epoch, or Infinity. */
  readonly deadline: number;
  expire(now: number): void;
}

/**
 * All connections' timeouts by one timer: a timer of its own per connection and request costs more than the
 * request's parsing, and to be a second late does no harm here.
 */
export class Deadlines {
  readonly #members = new Set<Expiring>();
  readonly #timer: NodeJS.Timeout;

  constructor(interval = 500) {
    this.#timer = setInterval(() => this.#sweep(Date.now()), interval);
    this.#timer.unref();
  }

  add(member: Expiring): void {
    this.#members.add(member);
  }

  delete(member: Expiring): void {
    this.#members.delete(member);
  }

  get size(): number {
    return this.#members.size;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sweep(now: number): void {
    for (const member of this.#members) {
      if (member.deadline <= now) member.expire(now);
    }
  }
}
