import { AcmeRefusal } from "./problem.ts";

/** Keys that are remembered; beyond, the one that was used longest ago is forgotten. */
const MOST_KEYS = 10_000;

/** A token bucket for each key: `burst` at once, refilled evenly so that `burst` come back in `span` milliseconds. */
export class RateLimit {
  readonly #burst: number;
  readonly #span: number;
  readonly #what: string;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { tokens: number; at: number }>();

  constructor(what: string, burst: number, span: number, now: () => number = Date.now) {
    this.#what = what;
    this.#burst = burst;
    this.#span = span;
    this.#now = now;
  }

  /** @throws AcmeRefusal `rateLimited` with the seconds until the next one may come. */
  take(key: string): void {
    const now = this.#now();
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: this.#burst, at: now };
    const filled = Math.min(this.#burst, tokens + ((now - at) * this.#burst) / this.#span);
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: filled < 1 ? filled : filled - 1, at: now });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MOST_KEYS) break;
      this.#buckets.delete(oldest);
    }
    if (filled >= 1) return;
    const retryAfter = Math.ceil(((1 - filled) * this.#span) / this.#burst / 1000);
    throw new AcmeRefusal("rateLimited", `too many ${this.#what}; the next one may come in ${retryAfter} s`, {
      retryAfter,
    });
  }
}
