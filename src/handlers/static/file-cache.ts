/** What a cache holds; `cost` in bytes MUST NOT change while it is held. */
export interface Costly {
  readonly cost: number;
}

/** Least-recently-used cache bounded by the sum of its entries' costs in bytes. */
export class FileCache<T extends Costly> {
  readonly #entries = new Map<string, T>();
  readonly #limit: number;
  #cost = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get cost(): number {
    return this.#cost;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The entry, without a change of its rank; `touch` does that. */
  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  /**
   * Makes an entry the most recent one. Called when an entry is checked against the disk, once a second, and not
   * at every use: to move an entry to the end of the map costs more than the look-up itself.
   */
  touch(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  set(key: string, entry: T): void {
    this.delete(key);
    if (entry.cost > this.#limit) return;
    this.#entries.set(key, entry);
    this.#cost += entry.cost;
    for (const oldest of this.#entries.keys()) {
      if (this.#cost <= this.#limit) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#cost -= entry.cost;
  }
}
