/** Samples that count, newest last: two seconds of them. */
const KEPT = 8;

/**
 * What an app on a Unix socket can work on at a time, learnt from its backlog: connections that wait there, while
 * others are at the app, show how many it takes. An app that takes all that come has no limit.
 */
export class LearnedLimit {
  #limit = Infinity;
  readonly #shown: number[] = [];

  /** Requests at a time; Infinity as long as the backlog has always been empty. */
  get value(): number {
    return this.#limit;
  }

  /** `inFlight`: requests sent and not answered. `backlog`: those among them that the app has not accepted. */
  sample(inFlight: number, backlog: number): void {
    if (backlog > 0) {
      this.#shown.push(Math.max(1, inFlight - backlog));
      if (this.#shown.length > KEPT) this.#shown.shift();
      const capacity = Math.max(...this.#shown);
      // Half as many again wait in the backlog: a worker that is done finds the next one there, without our help.
      this.#limit = capacity + Math.max(1, Math.ceil(capacity / 2));
    } else if (inFlight >= this.#limit) {
      // It took all that it was given: it can do more than it had shown.
      this.#shown.length = 0;
      this.#limit = Math.ceil(this.#limit * 1.5) + 1;
    }
  }
}
