/** Idle times after which the app closed a connection; the longest of these many counts. */
const KEPT = 5;
/** Closes within this span are one event, such as a restart, milliseconds. */
const ONE_EVENT = 100;
/** What was learnt is forgotten when it has not been seen for so long, milliseconds: the app may have changed. */
const FORGOTTEN_AFTER = 60_000;

/**
 * How long a connection to the app may lie idle and still be used: an app that closes it in the same moment as we
 * send has not taken the request, and not every request can be sent twice. Learnt from `Keep-Alive: timeout=`, or
 * from the app's own closes. Times are milliseconds.
 */
export class IdleLimit {
  #said = Infinity;
  #closes: number[] = [];
  #lastClose = 0;

  /** A response's Keep-Alive field, such as `timeout=5, max=100`. */
  learn(keepAlive: string): void {
    const seconds = /(?:^|[,\s])timeout=(\d{1,6})\b/i.exec(keepAlive)?.[1];
    if (seconds !== undefined) this.#said = Number(seconds) * 1000;
  }

  /** The app closed a connection that had been idle for `idle`. */
  observe(idle: number, now: number): void {
    if (now - this.#lastClose > FORGOTTEN_AFTER) this.#closes = [];
    const sameEvent = now - this.#lastClose < ONE_EVENT;
    this.#lastClose = now;
    if (sameEvent && this.#closes.length > 0) {
      const last = this.#closes.length - 1;
      this.#closes[last] = Math.max(this.#closes[last] as number, idle);
      return;
    }
    this.#closes.push(idle);
    if (this.#closes.length > KEPT) this.#closes.shift();
  }

  /** Whether a connection that has been idle for `idle` is still safe to use. */
  allows(idle: number, now: number): boolean {
    return idle < this.#limit(now);
  }

  #limit(now: number): number {
    // One close alone may be a restart; and a fifth is left for the way of the app's FIN.
    const observed =
      this.#closes.length > 1 && now - this.#lastClose <= FORGOTTEN_AFTER
        ? Math.max(...this.#closes)
        : Infinity;
    return Math.min(this.#said, observed) * 0.8;
  }
}
