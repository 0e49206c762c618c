/** Keys at once; the ones used least recently make room. About 10 MB. */
const MOST_KEYS = 65_536;

export interface BucketOptions {
  /** So many `requests` in `per` milliseconds, on average. */
  readonly requests: number;
  readonly per: number;
  /** Beyond the rate, at once. */
  readonly burst: number;
}

/**
 * Token buckets by key, as the generic cell rate algorithm has them (ITU-T I.371): one number per key, the time at
 * which the next request is due if all came evenly. A key is allowed to be ahead of it by the burst.
 */
export class TokenBuckets {
  /** Key to when its next request is due, milliseconds; the least recently used first. */
  readonly #due = new Map<string, number>();
  readonly #interval: number;
  readonly #ahead: number;
  readonly #mostKeys: number;

  constructor({ requests, per, burst }: BucketOptions, mostKeys = MOST_KEYS) {
    this.#interval = per / requests;
    this.#ahead = burst * this.#interval;
    this.#mostKeys = mostKeys;
  }

  get size(): number {
    return this.#due.size;
  }

  /** Takes a token: 0 where there was one, else the milliseconds until there will be. A refusal costs nothing. */
  take(key: string, now: number): number {
    const due = Math.max(this.#due.get(key) ?? 0, now);
    const early = due - this.#ahead - now;
    if (early > 0) return early;
    this.#set(key, due + this.#interval, now);
    return 0;
  }

  /** Takes tokens that were given elsewhere, whether there are any or not; negative gives them back. */
  charge(key: string, tokens: number, now: number): void {
    this.#set(key, Math.max(this.#due.get(key) ?? 0, now) + tokens * this.#interval, now);
  }

  #set(key: string, due: number, now: number): void {
    this.#due.delete(key);
    this.#due.set(key, due);
    // A full bucket is as good as none. Two for each one set, so that the table follows the traffic down.
    let looked = 0;
    for (const [oldest, its] of this.#due) {
      if (this.#due.size <= this.#mostKeys && (its > now || looked++ === 2)) return;
      this.#due.delete(oldest);
    }
  }
}
