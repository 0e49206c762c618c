import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { x509 } from "../tls/x509.ts";
import { readPair } from "./certificate-pair.ts";
import type { DamagedFiles } from "./damaged.ts";
import { readIfThere, writeDurably } from "./durable-file.ts";

/** Clocks of clients may be behind ours. Milliseconds. */
const BACKDATED = 3_600_000;

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

type Extension = InstanceType<typeof x509.Extension>;

/** A CA certificate with its key. */
export interface Authority {
  /** PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Subject {
  /** Distinguished name; empty where the alternative names say it all. */
  readonly name: string;
  /** Milliseconds; the issuer's end is the end in any case. */
  readonly lifetime: number;
  readonly extensions: readonly Extension[];
}

/** A subject that signs others; `pathLength` is how many of those below it may sign, too. */
export function authoritySubject(
  kind: string,
  lifetime: number,
  pathLength: number,
  extensions: readonly Extension[] = [],
): Subject {
  const flags = x509.KeyUsageFlags;
  return {
    // Unique, since a trust store may hold the roots of several machines.
    name: `CN=Paddock Local ${kind} ${randomBytes(4).toString("hex")},O=Paddock`,
    lifetime,
    extensions: [
      new x509.BasicConstraintsExtension(true, pathLength, true),
      new x509.KeyUsagesExtension(flags.keyCertSign | flags.cRLSign, true),
      ...extensions,
    ],
  };
}

/** A new key with its certificate; without an issuer it signs itself. */
export async function makeAuthority(
  issuer: Authority | null,
  subject: Subject,
  now: number,
): Promise<Authority> {
  const keys = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  const signer = issuer ?? { certificate: null, key: keys.privateKey, notBefore: 0, notAfter: Infinity };
  const publicKey = keys.publicKey.export({ type: "spki", format: "der" });
  return { ...(await certify(signer, publicKey, subject, now)), key: keys.privateKey };
}

/** Signs a certificate for somebody's public key (SubjectPublicKeyInfo, DER). */
export async function certify(
  issuer: Omit<Authority, "certificate"> & { readonly certificate: string | null },
  publicKey: Buffer,
  subject: Subject,
  now: number,
): Promise<{ certificate: string; notBefore: number; notAfter: number }> {
  const key = new x509.PublicKey(new Uint8Array(publicKey));
  const parent = issuer.certificate === null ? null : new x509.X509Certificate(issuer.certificate);
  // Whole seconds, as a certificate holds no fractions and the two must agree.
  const notAfter = Math.floor(Math.min(now + subject.lifetime, issuer.notAfter) / 1000) * 1000;
  const notBefore = Math.floor((now - BACKDATED) / 1000) * 1000;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: subject.name,
    issuer: parent === null ? subject.name : parent.subjectName,
    // Positive, and 128 bits of chance (CA/Browser Forum §7.1 asks for 64).
    serialNumber: `01${randomBytes(16).toString("hex")}`,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    publicKey: key,
    signingKey: issuer.key.toCryptoKey(P256, true, ["sign"]),
    signingAlgorithm: SIGNING,
    extensions: [
      ...subject.extensions,
      await x509.SubjectKeyIdentifierExtension.create(key),
      await x509.AuthorityKeyIdentifierExtension.create(parent === null ? key : parent.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, notBefore, notAfter };
}

export function signedBy(authority: Authority, root: Authority): boolean {
  return new X509Certificate(authority.certificate).verify(new X509Certificate(root.certificate).publicKey);
}

export function exportKey(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}

/** Durable once it resolves. */
export async function saveAuthority(path: string, authority: Authority): Promise<void> {
  const document = { certificate: authority.certificate, key: exportKey(authority.key) };
  await writeDurably(path, `${JSON.stringify(document, null, 1)}\n`);
}

/** Null where there is none, or a damaged one, which is then set aside. */
export async function loadAuthority(
  path: string,
  damaged: DamagedFiles,
  consequence: string,
): Promise<Authority | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  try {
    const { certificate, key } = JSON.parse(text) as Record<string, string>;
    const pair = readPair(String(certificate), String(key));
    const { chain, notBefore, notAfter } = pair;
    return { certificate: chain, key: createPrivateKey(pair.key), notBefore, notAfter };
  } catch (error) {
    // JSON.parse quotes what it read in its message, and that may be a key.
    await damaged.setAside(path, error instanceof SyntaxError ? "not JSON" : error, consequence);
    return null;
  }
}
