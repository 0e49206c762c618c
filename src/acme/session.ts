import { FlattenedSign, type CryptoKey, type JWK } from "jose";
import type { Clock } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import { parseJson, record, type Directory } from "./directory.ts";
import { linksOf } from "./link.ts";
import type { NoncePool } from "./nonces.ts";
import type { Observer } from "./observation.ts";
import { isProblem, problemOf } from "./problem.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Transport } from "./transport.ts";

/** Who signs: the account's key, named by its URL once it has one (RFC 8555 §6.2). */
export interface Signer {
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  /** The account's URL; null for newAccount, which carries the public key instead. */
  readonly kid: string | null;
  /** ES256 unless given. */
  readonly algorithm?: string;
}

export interface AcmeResponse {
  readonly status: number;
  /** From Location: the URL of the object that was made. */
  readonly location: string | null;
  /** From Link: the URLs of other chains for the same certificate (RFC 8555 §7.4.2). */
  readonly alternates: readonly string[];
  /** Milliseconds, or null. */
  readonly retryAfter: number | null;
  readonly text: string;
  /** The JSON object; empty where the body is something else. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Pebble rejects 30 % in our tests; ten in a row are then one in 170,000. */
const BAD_NONCE_RETRIES = 10;

/** Everything that one order shares: the directory, the nonces, the signer, the signal that ends it. */
export class Session {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly transport: Transport;
  /** Hears of the order's steps. */
  readonly observe: Observer;
  readonly #nonces: NoncePool;

  constructor(options: {
    directory: Directory;
    clock: Clock;
    signal: AbortSignal;
    transport: Transport;
    nonces: NoncePool;
    observe?: Observer | undefined;
  }) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.signal = options.signal;
    this.transport = options.transport;
    this.observe = options.observe ?? (() => undefined);
    this.#nonces = options.nonces;
  }

  /** Whether it is ended from outside, and not because a part of the same order failed. */
  get interrupted(): boolean {
    return this.signal.aborted && !(this.signal.reason instanceof PartFailed);
  }

  /** The same session under another signal: for parts that end earlier, and for cleaning up after an abort. */
  with(signal: AbortSignal): Session {
    const { directory, clock, transport, observe } = this;
    return new Session({ directory, clock, transport, observe, signal, nonces: this.#nonces });
  }

  /**
   * A signed request (RFC 8555 §6.2). `badNonce` is repeated with the nonce that came with it (§6.5).
   *
   * @param payload an object, or null for POST-as-GET (§6.3).
   * @throws AcmeProblem for any status of 400 and above.
   */
  async post(
    url: string,
    payload: object | null,
    signer: Signer,
    options: { accept?: string; about?: string } = {},
  ): Promise<AcmeResponse> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#postOnce(url, payload, signer, options);
      } catch (error) {
        if (!isProblem(error, "badNonce") || attempt >= BAD_NONCE_RETRIES) throw error;
      }
    }
  }

  async #postOnce(
    url: string,
    payload: object | null,
    signer: Signer,
    options: { accept?: string; about?: string },
  ): Promise<AcmeResponse> {
    const nonce = await this.#nonces.take(this.directory.newNonce, () => this.clock.now(), this.signal);
    const identity = signer.kid === null ? { jwk: signer.publicJwk } : { kid: signer.kid };
    const signed = await new FlattenedSign(
      new TextEncoder().encode(payload === null ? "" : JSON.stringify(payload)),
    )
      .setProtectedHeader({ alg: signer.algorithm ?? "ES256", nonce, url, ...identity })
      .sign(signer.privateKey);
    const response = await this.transport.send({
      method: "POST",
      url,
      body: JSON.stringify(signed),
      contentType: "application/jose+json",
      signal: this.signal,
      ...(options.accept === undefined ? {} : { accept: options.accept }),
    });
    const parsed = parseJson(response.body);
    const retryAfter = parseRetryAfter(response.fields["retry-after"], this.clock.now());
    if (response.status >= 300) {
      const problem = problemOf(parsed, {
        status: response.status,
        retryAfter,
        about: options.about ?? null,
      });
      if (problem.is("badNonce")) this.#nonces.clear();
      this.#nonces.keep(response.fields["replay-nonce"]);
      throw problem;
    }
    this.#nonces.keep(response.fields["replay-nonce"]);
    const location = response.fields.location;
    return {
      status: response.status,
      location: location === undefined ? null : new URL(location, url).href,
      alternates: linksOf(response.fields.link, "alternate", url),
      retryAfter,
      text: response.body,
      body: record(parsed),
    };
  }
}

/** Why the other parts of an order end once one has failed. */
export class PartFailed extends Error {}

/** The error of a response that is well-formed HTTP and yet not what RFC 8555 says. */
export function unexpected(what: string): PaddockError {
  return new PaddockError("acme.unexpected-response", `the CA's answer is not what RFC 8555 says: ${what}`, {
    fix: "Check the issuer's directory URL; if it is right, report this. The attempt is repeated.",
  });
}
