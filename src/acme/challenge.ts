import type { ChallengeKind } from "../config/challenges.ts";

/** What is shown to the CA, by whichever kind of challenge. */
export interface ChallengeAnswer {
  readonly kind: ChallengeKind;
  /** A DNS name, without the `*.` of a wildcard, or an IP address. */
  readonly name: string;
  readonly token: string;
  /** RFC 8555 §8.1. */
  readonly keyAuthorization: string;
}

/**
 * Where answers to challenges are shown.
 *
 * `publish` MUST resolve only once everybody whom the CA may ask gives the answer, since the CA is told right after:
 * every worker, every name server. It rejects where the answer cannot be shown, and SHOULD say by a PaddockError why.
 * `withdraw` is called after each `publish`, however it ended and also where it was aborted; it MUST NOT reject.
 */
export interface ChallengeBoard {
  /** What may be tried for a name, best first; a wildcard's name begins with `*.`. */
  kindsFor(name: string): readonly ChallengeKind[];
  publish(answer: ChallengeAnswer, signal: AbortSignal): Promise<void>;
  withdraw(answer: ChallengeAnswer): Promise<void>;
  /** The CA has taken `kind` for `name`; the next time it SHOULD be the first to be tried. MUST NOT throw. */
  proven(name: string, kind: ChallengeKind): void;
}

/** A challenge object (RFC 8555 §8). */
export interface Challenge {
  readonly type: string;
  readonly url: string;
  readonly status: string;
  readonly token: string;
  /** A problem document, or null. */
  readonly error: unknown;
}

/** The key authorization of RFC 8555 §8.1. */
export function keyAuthorization(token: string, thumbprint: string): string {
  return `${token}.${thumbprint}`;
}

/** The challenges of an authorization; what has no usable token or URL is left out. */
export function challengesOf(value: unknown): Challenge[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).flatMap((item) => {
    const { type, url, status, token, error } = (item ?? {}) as Record<string, unknown>;
    if (typeof type !== "string" || typeof url !== "string") return [];
    // The token becomes a part of a path, so only base64url is let through (RFC 8555 §8.3).
    if (typeof token !== "string" || !/^[A-Za-z0-9_-]+$/.test(token)) return [];
    return [{ type, url, status: String(status), token, error: error ?? null }];
  });
}
