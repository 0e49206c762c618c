import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { isIP, SocketAddress } from "node:net";
import { PaddockError } from "../errors.ts";

/** A chain and its key, looked through once. Times are milliseconds since the epoch. */
export interface CertificatePair {
  /** PEM: the end-entity certificate first. */
  readonly chain: string;
  /** PEM, PKCS #8, whatever the form it came in. */
  readonly key: string;
  /** The subjectAltName's DNS names and IP addresses, lower case. */
  readonly certified: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of the end-entity certificate, lower-case hex. */
  readonly fingerprint: string;
}

/** @throws PaddockError `certificate.unreadable`, `certificate.key-mismatch`; never with a part of the key. */
export function readPair(chain: string, key: string): CertificatePair {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(chain);
  } catch (cause) {
    throw new PaddockError("certificate.unreadable", "the chain does not begin with a PEM certificate", {
      cause,
    });
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (cause) {
    throw new PaddockError("certificate.unreadable", "the key is not an unencrypted PEM private key", {
      cause,
    });
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new PaddockError("certificate.key-mismatch", "the key belongs to another certificate");
  }
  return {
    chain,
    key: privateKey.export({ type: "pkcs8", format: "pem" }),
    certified: subjectAltNames(leaf.subjectAltName ?? ""),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    fingerprint: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** One entry of Node's text of the extension; a value that could be mistaken for two is a JSON string in it. */
const ENTRY = /(?:^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)/gy;

/** DNS names and IP addresses; read from OpenSSL, since a parser in JavaScript takes three milliseconds for it. */
function subjectAltNames(text: string): string[] {
  const names: string[] = [];
  for (const [, type = "", value = ""] of text.matchAll(ENTRY))
    if (type === "DNS" || type === "IP Address")
      names.push(canonicalName(value.startsWith('"') ? String(JSON.parse(value)) : value));
  return names;
}

/** One spelling for each name: lower case, and IPv6 as the system writes it. */
export function canonicalName(name: string): string {
  if (isIP(name) === 6) return new SocketAddress({ address: name, family: "ipv6" }).address;
  return name.toLowerCase();
}

/** Whether a certificate for `certified` is good for `name`: the exact name, or a wildcard for its first label. */
export function covers(certified: readonly string[], name: string): boolean {
  const wanted = canonicalName(name);
  if (certified.includes(wanted)) return true;
  const dot = wanted.indexOf(".");
  return dot > 0 && isIP(wanted) === 0 && certified.includes(`*${wanted.slice(dot)}`);
}

/** The one that is for `name`: for exactly this name rather than by a wildcard. */
export function findByName<Kept>(
  all: readonly Kept[],
  name: string,
  namesOf: (one: Kept) => readonly string[],
): Kept | null {
  const wanted = canonicalName(name);
  const exact = all.find((one) => namesOf(one).includes(wanted));
  return exact ?? all.find((one) => covers(namesOf(one), wanted)) ?? null;
}
