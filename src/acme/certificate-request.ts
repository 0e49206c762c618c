import { generateKeyPair, type KeyObject } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import { x509 } from "../tls/x509.ts";

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;

/** A new P-256 key: each certificate gets its own, so that a key that leaked ends with its certificate. */
export async function generateCertificateKey(): Promise<{ privateKey: KeyObject; publicKey: KeyObject }> {
  return await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
}

/**
 * The certificate request of RFC 8555 §7.4: the names as subjectAltName alone, since a common name holds 64
 * characters at most and no CA needs one.
 *
 * @returns DER
 */
export async function certificateRequest(
  names: readonly string[],
  keys: { privateKey: KeyObject; publicKey: KeyObject },
): Promise<Buffer> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys: {
      privateKey: keys.privateKey.toCryptoKey(P256, true, ["sign"]),
      publicKey: keys.publicKey.toCryptoKey(P256, true, ["verify"]),
    },
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name })),
      ),
    ],
  });
  return Buffer.from(request.rawData);
}
