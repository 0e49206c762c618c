import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { AcmeRefusal } from "./problem.ts";

/** Members of a public key by its type (RFC 7518 §6, RFC 8037 §2), in the order of RFC 7638. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ["crv", "kty", "x", "y"],
  OKP: ["crv", "kty", "x"],
  RSA: ["e", "kty", "n"],
};

/** JWS algorithm to the keys that it goes with. */
export const ALGORITHMS: Readonly<Record<string, (key: KeyObject) => boolean>> = {
  ES256: (key) => curveOf(key) === "prime256v1",
  ES384: (key) => curveOf(key) === "secp384r1",
  RS256: (key) => key.asymmetricKeyType === "rsa",
  EdDSA: (key) => key.asymmetricKeyType === "ed25519",
};

export interface AccountKey {
  /** The public members alone. */
  readonly jwk: Readonly<Record<string, string>>;
  readonly key: KeyObject;
  readonly thumbprint: string;
}

/**
 * The key of a JWK that a stranger sent.
 *
 * @throws AcmeRefusal `badPublicKey` for what is no public key, or a weak one.
 */
export function accountKey(value: unknown): AccountKey {
  const given = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const { kty } = given;
  const members = typeof kty === "string" && Object.hasOwn(MEMBERS, kty) ? MEMBERS[kty] : undefined;
  if (members === undefined) throw new AcmeRefusal("badPublicKey", "the key is neither RSA, EC nor Ed25519");
  if (["d", "p", "q", "k"].some((secret) => secret in given))
    throw new AcmeRefusal("badPublicKey", "the key is a private one, which nobody but you should have seen");
  const parts = members.map((member) => [member, given[member]] as const);
  const missing = parts.find(([, part]) => typeof part !== "string" || part.length > 1024);
  if (missing !== undefined) throw new AcmeRefusal("badPublicKey", `the key has no ${missing[0]}`);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Object.fromEntries(parts) as Record<string, string>, format: "jwk" });
  } catch {
    throw new AcmeRefusal("badPublicKey", "the key cannot be read");
  }
  refuseWeak(key, "badPublicKey");
  // As Node writes it: else one key in two spellings would be two accounts.
  const written = key.export({ format: "jwk" }) as Record<string, string>;
  const jwk = Object.fromEntries(members.map((member) => [member, written[member] ?? ""]));
  const thumbprint = createHash("sha256").update(JSON.stringify(jwk)).digest("base64url");
  return { jwk, key, thumbprint };
}

/** RSA from 2048 to 4096 bits with a usual exponent, P-256, P-384, Ed25519. */
export function refuseWeak(key: KeyObject, kind: "badPublicKey" | "badCSR"): void {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa") {
    if (modulusLength < 2048 || modulusLength > 4096)
      throw new AcmeRefusal(kind, `an RSA key of ${modulusLength} bits; from 2048 to 4096 are taken`);
    if (publicExponent < 65537n || publicExponent % 2n === 0n || publicExponent > 1n << 32n)
      throw new AcmeRefusal(kind, "an RSA key with an unusual exponent; 65537 is taken");
    return;
  }
  const curve = curveOf(key);
  if (curve === "prime256v1" || curve === "secp384r1" || key.asymmetricKeyType === "ed25519") return;
  throw new AcmeRefusal(kind, "the key is neither RSA, P-256, P-384 nor Ed25519");
}

function curveOf(key: KeyObject): string | undefined {
  return key.asymmetricKeyType === "ec" ? key.asymmetricKeyDetails?.namedCurve : undefined;
}
