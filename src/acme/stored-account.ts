import { importJWK, type CryptoKey, type JWK } from "jose";
import { PaddockError } from "../errors.ts";

/** What is kept of an account. `url` is null from the making of the key to the CA's first answer. */
export interface StoredAccount {
  readonly directory: string;
  readonly url: string | null;
  /** EC P-256 where we made it; an imported one may be RSA. With `d`. Never logged. */
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

/** JWS algorithm (RFC 7518 §3.1) and public members of each kind of key: our own, and what certbot makes. */
const KINDS: Readonly<Record<string, { readonly algorithm: string; readonly members: readonly string[] }>> = {
  "EC P-256": { algorithm: "ES256", members: ["kty", "crv", "x", "y"] },
  "EC P-384": { algorithm: "ES384", members: ["kty", "crv", "x", "y"] },
  RSA: { algorithm: "RS256", members: ["kty", "n", "e"] },
};

/**
 * What signs with a kept key.
 *
 * @throws PaddockError `acme.account-key` for a kind of key that CAs do not take.
 */
export async function signerOf(
  kept: StoredAccount["privateJwk"],
): Promise<{ privateKey: CryptoKey; publicJwk: JWK; algorithm: string }> {
  const privateJwk = kept as JWK;
  const kind = KINDS[privateJwk.kty === "RSA" ? "RSA" : `${privateJwk.kty} ${privateJwk.crv}`];
  if (kind === undefined)
    throw new PaddockError("acme.account-key", "the account's key is neither RSA nor EC P-256 or P-384", {
      fix: "Remove the account folder below the storage, so that a new account is made.",
    });
  const { algorithm, members } = kind;
  const privateKey = (await importJWK(privateJwk, algorithm)) as CryptoKey;
  const publicJwk = Object.fromEntries(members.map((name) => [name, kept[name]])) as JWK;
  return { privateKey, publicJwk, algorithm };
}
