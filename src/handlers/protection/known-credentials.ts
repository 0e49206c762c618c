import { createHmac, randomBytes } from "node:crypto";

/** For how long a credential that was right need not be looked at again, milliseconds. */
const LIFE = 5 * 60_000;
const MOST = 1024;

/** Never leaves the process, so that what the table holds is no use to who reads it. */
const KEY = randomBytes(32);

/** Credentials that were right a moment ago: a page with fifty assets is one hash, not fifty. */
export class KnownCredentials {
  /** To when it must be checked again, milliseconds of `performance.now`; the oldest first. */
  readonly #until = new Map<string, number>();

  static keyOf(credentials: string): string {
    return createHmac("sha256", KEY).update(credentials).digest("base64url");
  }

  has(key: string, now = performance.now()): boolean {
    const until = this.#until.get(key);
    if (until === undefined || until > now) return until !== undefined;
    this.#until.delete(key);
    return false;
  }

  add(key: string, now = performance.now()): void {
    this.#until.delete(key);
    this.#until.set(key, now + LIFE);
    if (this.#until.size <= MOST) return;
    const [oldest = ""] = this.#until.keys();
    this.#until.delete(oldest);
  }
}
