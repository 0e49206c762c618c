import { createPublicKey, type KeyObject } from "node:crypto";
import { isIP, SocketAddress } from "node:net";
import { x509 } from "../tls/x509.ts";
import { AcmeRefusal } from "./problem.ts";
import { refuseWeak } from "./public-key.ts";
import type { Identifier } from "./records.ts";

/** Bytes; one with twenty names and an RSA key of 4096 bits has some 3000. */
const LARGEST = 16 * 1024;

const COMMON_NAME = "2.5.4.3";

/**
 * The public key of a certificate request (PKCS #10) that asks for exactly the order's names (RFC 8555 §7.4). What
 * else it asks for is passed over: the profile of the certificate is the CA's.
 *
 * @param accountKeys SubjectPublicKeyInfo of keys that no certificate may have (§11.1).
 * @returns SubjectPublicKeyInfo, DER.
 * @throws AcmeRefusal `badCSR`
 */
export async function requestedKey(
  csr: unknown,
  identifiers: readonly Identifier[],
  accountKeys: readonly KeyObject[],
): Promise<Buffer> {
  if (typeof csr !== "string" || !/^[A-Za-z0-9_-]+$/.test(csr) || csr.length > LARGEST)
    throw new AcmeRefusal("badCSR", "the request must be DER in base64url, of 12 KB at most");
  let request: InstanceType<typeof x509.Pkcs10CertificateRequest>;
  let holds: boolean;
  let names: string[];
  let key: KeyObject;
  try {
    request = new x509.Pkcs10CertificateRequest(new Uint8Array(Buffer.from(csr, "base64url")));
    key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: "der", type: "spki" });
    names = namesOf(request);
    refuseWeak(key, "badCSR");
    holds = await request.verify();
  } catch (error) {
    if (error instanceof AcmeRefusal) throw error;
    throw new AcmeRefusal("badCSR", "the request cannot be read");
  }
  if (!holds) throw new AcmeRefusal("badCSR", "the request's own signature does not hold");
  const wanted = new Set(identifiers.map(({ type, value }) => `${type} ${value}`));
  const asked = new Set(names);
  if (wanted.size !== asked.size || [...wanted].some((name) => !asked.has(name)))
    throw new AcmeRefusal("badCSR", "the request's names are not those of the order");
  if (accountKeys.some((other) => other.equals(key)))
    throw new AcmeRefusal("badCSR", "the request has an account's key");
  return key.export({ type: "spki", format: "der" });
}

/** As `dns NAME` and `ip ADDRESS`; those of another kind as such, so that they differ from any order. */
function namesOf(request: InstanceType<typeof x509.Pkcs10CertificateRequest>): string[] {
  const alternative = request.extensions.flatMap((extension) =>
    extension instanceof x509.SubjectAlternativeNameExtension ? extension.names.items : [],
  );
  const common = request.subjectName.getField(COMMON_NAME);
  return [
    ...alternative.map(({ type, value }) => written(type, value)),
    ...common.map((value) => written(isIP(value) === 0 ? "dns" : "ip", value)),
  ];
}

function written(type: string, value: string): string {
  if (type === "ip" && isIP(value) === 6)
    return `ip ${new SocketAddress({ address: value, family: "ipv6" }).address}`;
  return `${type} ${value.toLowerCase()}`;
}
