import { flattenedVerify } from "jose";
import { AcmeRefusal } from "./problem.ts";
import { accountKey, ALGORITHMS, type AccountKey } from "./public-key.ts";

/** A flattened JWS (RFC 7515 §7.2.2) whose header was read and whose signature was not looked at yet. */
export interface UnverifiedJws {
  readonly jws: { readonly protected: string; readonly payload: string; readonly signature: string };
  readonly header: Readonly<Record<string, unknown>>;
}

/** Alphabet of base64url without padding (RFC 7515 §2). */
const BASE64URL = /^[A-Za-z0-9_-]*$/;

/**
 * Reads what RFC 8555 §6.2 lets through and nothing else: one signature, no unprotected header, no `crit`, one of
 * `jwk` and `kid`.
 *
 * @throws AcmeRefusal `malformed`, `badSignatureAlgorithm`
 */
export function readJws(value: unknown): UnverifiedJws {
  const document = objectOf(value, "the request is no JWS");
  const { protected: head, payload, signature } = document;
  if ("header" in document || "signatures" in document)
    throw new AcmeRefusal("malformed", "a JWS with one signature and without an unprotected header is taken");
  if (![head, payload, signature].every((part) => typeof part === "string" && BASE64URL.test(part)))
    throw new AcmeRefusal("malformed", "protected, payload and signature must be base64url without padding");
  const header = objectOf(parse(decode(head as string)), "the protected header is no JSON object");
  const { alg } = header;
  if (typeof alg !== "string" || !Object.hasOwn(ALGORITHMS, alg))
    throw new AcmeRefusal("badSignatureAlgorithm", "the algorithm is none of those that are taken", {
      members: { algorithms: Object.keys(ALGORITHMS) },
    });
  if ("crit" in header || "b64" in header)
    throw new AcmeRefusal("malformed", "extensions of JWS are not taken");
  if ("jwk" in header === "kid" in header)
    throw new AcmeRefusal("malformed", "the protected header must have one of jwk and kid");
  return {
    jws: { protected: head as string, payload: payload as string, signature: signature as string },
    header,
  };
}

/** The key that a request brings along in `jwk`. */
export function embeddedKey({ header }: UnverifiedJws): AccountKey {
  return accountKey(header["jwk"]);
}

/**
 * The payload, once the signature holds: null for POST-as-GET (RFC 8555 §6.3), else a JSON object.
 *
 * @throws AcmeRefusal `malformed`, `badSignatureAlgorithm`, `unauthorized`
 */
export async function verifiedPayload(
  { jws, header }: UnverifiedJws,
  { key }: AccountKey,
): Promise<Readonly<Record<string, unknown>> | null> {
  const algorithm = header["alg"] as string;
  if (ALGORITHMS[algorithm]?.(key) !== true)
    throw new AcmeRefusal("badSignatureAlgorithm", `the key is not one for ${algorithm}`, {
      members: { algorithms: Object.keys(ALGORITHMS) },
    });
  try {
    await flattenedVerify(jws, key, { algorithms: [algorithm] });
  } catch {
    throw new AcmeRefusal("unauthorized", "the signature does not hold");
  }
  if (jws.payload === "") return null;
  return objectOf(parse(decode(jws.payload)), "the payload is no JSON object");
}

function decode(part: string): string {
  return Buffer.from(part, "base64url").toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function objectOf(value: unknown, otherwise: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new AcmeRefusal("malformed", otherwise);
}
