import type { AccountKey } from "./public-key.ts";
import type { AccountRecord } from "./records.ts";

/** A request whose signature and nonce hold. */
export interface SignedRequest {
  /** `https://HOST:PORT` as the client called it. */
  readonly base: string;
  /** Null for POST-as-GET. */
  readonly payload: Readonly<Record<string, unknown>> | null;
  readonly key: AccountKey;
  /** Whose key it is; null where the request brought the key along. */
  readonly account: AccountRecord | null;
}

export interface Answer {
  readonly status: number;
  readonly fields?: Readonly<Record<string, string>>;
  /** JSON, a chain in PEM, or nothing. */
  readonly body: object | string | null;
}
