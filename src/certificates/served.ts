import { certificateKey } from "../tls/certificate.ts";
import { covers, type CertificatePair } from "./certificate-pair.ts";
import type { ServedCertificate } from "./status.ts";
import type { StoredCertificate } from "./store.ts";

/**
 * What is served for `names` while their own certificate is not there: for each name a stored certificate of
 * another set of names that covers it (a site that got one more name keeps its padlock on the others), and what `rest`
 * has for those that are left open.
 */
export function serveWithout(
  names: readonly string[],
  standIns: readonly StoredCertificate[],
  now: number,
  rest: (open: readonly string[]) => ServedCertificate[],
): ServedCertificate[] {
  const served: ServedCertificate[] = [];
  let open = names;
  for (const standIn of standIns) {
    const covered = open.filter((name) => covers(standIn.certified, name));
    if (standIn.notAfter <= now || covered.length === 0) continue;
    served.push(serve(standIn, covered, standIn.issuer, "stored"));
    open = open.filter((name) => !covered.includes(name));
  }
  return open.length === 0 ? served : [...served, ...rest(open)];
}

export function serve(
  pair: CertificatePair,
  names: readonly string[],
  issuer: string,
  origin: ServedCertificate["origin"],
): ServedCertificate {
  const { chain, key, fingerprint } = pair;
  return { names, chain, key, fingerprint, issuer, origin };
}

/** What tells two sets of served certificates apart. */
export function servedKeys(served: readonly ServedCertificate[]): string {
  return served.map((certificate) => certificateKey(certificate)).join("\n");
}
