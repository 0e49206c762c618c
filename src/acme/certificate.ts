import { X509Certificate, type KeyObject } from "node:crypto";
import { isIP, SocketAddress } from "node:net";
import { PaddockError } from "../errors.ts";
import type { Account } from "./account.ts";
import type { Session } from "./session.ts";
import { x509 } from "../tls/x509.ts";

/** RFC 8555 §9.1. */
const PEM_CHAIN = "application/pem-certificate-chain";

/**
 * Downloads one chain (RFC 8555 §7.4.2) and accepts it only if it is what was ordered: a CA's mistake must not
 * take the site down.
 *
 * @returns PEM, the end-entity certificate first; and the URLs of the other chains that the CA offers.
 * @throws PaddockError `acme.unacceptable-certificate`
 */
export async function downloadChain(
  session: Session,
  account: Account,
  url: string,
  ordered: { names: readonly string[]; privateKey: KeyObject },
): Promise<{ chain: string; alternates: readonly string[] }> {
  const response = await session.post(url, null, account, { accept: PEM_CHAIN });
  const blocks = response.text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map((block) => `${block.replaceAll("\r\n", "\n")}\n`).join("");
  checkCertificate(chain, ordered, session.clock.now());
  return { chain, alternates: response.alternates };
}

/** @throws PaddockError `acme.unacceptable-certificate` */
export function checkCertificate(
  chain: string,
  ordered: { names: readonly string[]; privateKey: KeyObject },
  now: number,
): void {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(chain);
  } catch (cause) {
    throw unacceptable("it is not PEM", cause);
  }
  if (!leaf.checkPrivateKey(ordered.privateKey)) throw unacceptable("it is for another key");
  const names = certifiedNames(leaf);
  const missing = ordered.names.filter((name) => !names.has(canonical(name)));
  if (missing.length > 0) throw unacceptable(`it lacks ${missing.join(", ")}`);
  if (leaf.validToDate.getTime() <= now) {
    throw unacceptable(`it ended at ${leaf.validToDate.toISOString()}; is this machine's clock right?`);
  }
}

function certifiedNames(leaf: X509Certificate): Set<string> {
  const names =
    new x509.X509Certificate(leaf.raw).getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  return new Set(names.map((name) => canonical(name.value)));
}

/** One spelling per name: lower case, and IPv6 as the system writes it. */
function canonical(name: string): string {
  const family = isIP(name);
  if (family === 6) return new SocketAddress({ address: name, family: "ipv6" }).address;
  return name.toLowerCase();
}

function unacceptable(why: string, cause?: unknown): PaddockError {
  return new PaddockError("acme.unacceptable-certificate", `the CA's certificate was not accepted: ${why}`, {
    fix: "The one in use stays; the attempt is repeated. If it repeats, report it to the CA.",
    cause,
  });
}
