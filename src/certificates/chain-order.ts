import { X509Certificate } from "node:crypto";
import { rootCertificates } from "node:tls";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Of the roots that Node.js brings, read when first asked for: it takes a tenth of a second. */
let rootSubjects: ReadonlySet<string> | null = null;

/**
 * What a chain lacks that clients need, as a clause; null where nothing is amiss. Browsers get some missing
 * intermediates by themselves, curl, Python and Android do not, so this is what "it works in my browser" hides.
 *
 * @param chain PEM, the end-entity certificate first; readPair MUST have accepted it.
 */
export function chainComplaint(chain: string): string | null {
  const all = (chain.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
  for (const [index, certificate] of all.entries()) {
    const next = all[index + 1];
    if (next !== undefined && !certificate.checkIssued(next))
      return `its certificate ${index + 2} (${nameOf(next.subject)}) did not issue the one before it, which is by ${nameOf(certificate.issuer)}`;
  }
  const last = all.at(-1);
  if (last === undefined || last.checkIssued(last)) return null;
  // A list that ends below a root of the clients' own is whole.
  if (last.ca && all.length > 1) return null;
  rootSubjects ??= new Set(rootCertificates.map((pem) => new X509Certificate(pem).subject));
  return rootSubjects.has(last.issuer) ? null : `the intermediate ${nameOf(last.issuer)} is missing in it`;
}

/** The common name of a distinguished name as Node writes it, else all of it; undefined for an empty one. */
function nameOf(distinguished: string | undefined): string {
  if (distinguished === undefined) return "without a subject";
  return /^CN=(.*)$/m.exec(distinguished)?.[1] ?? distinguished.replaceAll("\n", ", ");
}
