import { importJWK, type CryptoKey, type JWK } from "jose";

/** What is kept of an account. `url` is null from the making of the key to the CA's first answer. */
export interface StoredAccount {
  readonly directory: string;
  readonly url: string | null;
  /** EC P-256, with `d`. Never logged. */
  readonly privateJwk: Readonly<Record<string, unknown>>;
  /** The contact that the CA knows. */
  readonly email: string | null;
  /** The next key, from before the CA is told of it until it has answered (`account-keys.ts`). */
  readonly nextJwk?: Readonly<Record<string, unknown>>;
  /** Its deactivation has begun. */
  readonly leaving?: boolean;
}

/** Where one issuer's account is kept. `save` and `remove` MUST be durable when they resolve. */
export interface AccountKeeper {
  load(): Promise<StoredAccount | null>;
  save(account: StoredAccount): Promise<void>;
  remove(): Promise<void>;
}

/** What signs with a kept key. */
export async function signerOf(
  kept: StoredAccount["privateJwk"],
): Promise<{ privateKey: CryptoKey; publicJwk: JWK }> {
  const privateJwk = kept as JWK;
  const { kty, crv, x, y } = privateJwk as Record<"kty" | "crv" | "x" | "y", string>;
  const privateKey = (await importJWK(privateJwk, "ES256")) as CryptoKey;
  return { privateKey, publicJwk: { kty, crv, x, y } };
}
