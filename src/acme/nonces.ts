import { PaddockError } from "../errors.ts";
import { problemOf } from "./problem.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Transport } from "./transport.ts";

/** More would only grow old: each request brings a new one. */
const LARGEST_POOL = 16;

/** Anti-replay nonces (RFC 8555 §6.5): each response brings one, each signed request uses one up. */
export class NoncePool {
  readonly #transport: Transport;
  #nonces: string[] = [];

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Keeps the nonce of a response, if it has one and it is base64url as §6.5.1 demands. */
  keep(value: string | string[] | undefined): void {
    if (typeof value !== "string" || !/^[A-Za-z0-9_-]+$/.test(value)) return;
    this.#nonces.push(value);
    if (this.#nonces.length > LARGEST_POOL) this.#nonces.shift();
  }

  /**
   * Takes one, the newest first, or asks the CA for one (RFC 8555 §7.2).
   *
   * @throws AcmeProblem where the CA answers with an error.
   */
  async take(newNonce: string, now: () => number, signal: AbortSignal): Promise<string> {
    const kept = this.#nonces.pop();
    if (kept !== undefined) return kept;
    const response = await this.#transport.send({ method: "HEAD", url: newNonce, signal });
    this.keep(response.fields["replay-nonce"]);
    const fresh = this.#nonces.pop();
    if (fresh !== undefined) return fresh;
    if (response.status >= 400) {
      // HEAD: the status and Retry-After are all that there is.
      const retryAfter = parseRetryAfter(response.fields["retry-after"], now());
      throw problemOf(null, { status: response.status, retryAfter, about: newNonce });
    }
    throw new PaddockError(
      "acme.no-nonce",
      `${newNonce} answered ${response.status} without a Replay-Nonce`,
      {
        fix: "Check the issuer's directory URL, or wait: the CA may be down. The attempt is repeated.",
      },
    );
  }

  /** After `badNonce` the others are probably as old as the one that was refused. */
  clear(): void {
    this.#nonces = [];
  }
}
