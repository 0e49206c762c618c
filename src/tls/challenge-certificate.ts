import { createHash, createPrivateKey, generateKeyPair, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import type { TlsCertificate } from "./certificate.ts";
import { reverseName } from "./reverse-name.ts";
import { x509 } from "./x509.ts";

/** RFC 8737 section 3: the protocol that a validating CA offers, and nobody else. */
export const ACME_TLS_PROTOCOL = "acme-tls/1";

/** RFC 8737 section 6.1: id-pe-acmeIdentifier. */
const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const DAY = 86_400_000;

/**
 * The certificate that answers a tls-alpn-01 challenge (RFC 8737 section 3): self-signed, `name` as its one
 * subjectAltName, and the SHA-256 of the key authorization in a critical acmeIdentifier extension.
 *
 * @param name a DNS name, or an IP address, which is looked for under its reverse name (RFC 8738 section 6).
 * @param now milliseconds since the epoch; the certificate is good for a day before and after it.
 */
export async function challengeCertificate(
  name: string,
  keyAuthorization: string,
  now: number,
): Promise<TlsCertificate> {
  const pair = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  const keys = {
    privateKey: pair.privateKey.toCryptoKey(P256, true, ["sign"]),
    publicKey: pair.publicKey.toCryptoKey(P256, true, ["verify"]),
  };
  const digest = createHash("sha256").update(keyAuthorization).digest();
  // An OCTET STRING (tag 4) of 32 bytes, in DER.
  const identifier = Buffer.concat([Buffer.from([0x04, digest.length]), digest]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ["Paddock tls-alpn-01 challenge"] }],
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + DAY),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: isIP(name) === 0 ? "dns" : "ip", value: name }]),
      new x509.Extension(ACME_IDENTIFIER, true, identifier),
    ],
  });
  const chain = certificate.toString("pem");
  const key = pair.privateKey.export({ type: "pkcs8", format: "pem" });
  const read = new X509Certificate(chain);
  if (!read.checkPrivateKey(createPrivateKey(key))) throw new TypeError("the key is not the certificate's");
  const fingerprint = createHash("sha256").update(read.raw).digest("hex");
  return { names: [isIP(name) === 0 ? name.toLowerCase() : reverseName(name)], chain, key, fingerprint };
}
