import { randomBytes } from "node:crypto";
import { AcmeRefusal } from "./problem.ts";

/** So many are out at once; a client that was given an older one gets badNonce, and with it a new one. */
const MOST = 10_000;
/** Milliseconds. */
const LIFETIME = 3_600_000;

/** Anti-replay nonces (RFC 8555 §6.5): each is good once. They are in memory alone: after a restart all are bad. */
export class IssuedNonces {
  /** In the order of their making. */
  readonly #out = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  issue(): string {
    const nonce = randomBytes(16).toString("base64url");
    this.#out.set(nonce, this.#now());
    for (const oldest of this.#out.keys()) {
      if (this.#out.size <= MOST) break;
      this.#out.delete(oldest);
    }
    return nonce;
  }

  /** @throws AcmeRefusal `badNonce` */
  use(nonce: unknown): void {
    const issuedAt = typeof nonce === "string" ? this.#out.get(nonce) : undefined;
    if (typeof nonce === "string") this.#out.delete(nonce);
    if (issuedAt === undefined || issuedAt + LIFETIME < this.#now())
      throw new AcmeRefusal("badNonce", "the nonce was not given out here, was used before, or is too old");
  }
}
