/** How often the supervisor is told of one name, milliseconds; what it decides by that counts in days. */
const REPEAT = 3_600_000;

/** Which names on demand got requests; whether they are renewed depends on it. Requests, since the daemon shakes hands with itself. */
export class UsedNames {
  #told = new Set<string>();
  #fresh = new Set<string>();
  #since = 0;

  /** `name`: one that a certificate is served for, so that there are no more than of these. */
  note(name: string): void {
    if (!this.#told.has(name)) this.#fresh.add(name);
  }

  /** What to tell; null for nothing. */
  report(now = performance.now()): string[] | null {
    if (now - this.#since > REPEAT) {
      this.#told = new Set();
      this.#since = now;
    }
    if (this.#fresh.size === 0) return null;
    const names = [...this.#fresh];
    for (const name of names) this.#told.add(name);
    this.#fresh.clear();
    return names;
  }
}
