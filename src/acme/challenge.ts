/**
 * Where http-01 answers are shown.
 *
 * `publish` MUST resolve only once every worker answers `/.well-known/acme-challenge/TOKEN` with the key
 * authorization, since the CA is told right after. `withdraw` MUST accept a token that was never published.
 */
export interface ChallengeBoard {
  publish(token: string, keyAuthorization: string): Promise<void>;
  withdraw(token: string): Promise<void>;
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
