import type { CertificateStatus } from "../certificates/status.ts";
import type { CertificateFacts } from "../metrics/exposition.ts";

/** What the metrics say of each name of each certificate. */
export function certificateFacts(
  statuses: readonly CertificateStatus[],
  servesAsTold: (name: string) => boolean,
): CertificateFacts[] {
  return statuses.flatMap((certificate) => {
    const { issuer, notAfter, notBefore, issuedAt, nextAttempt, serving, rehearsal } = certificate;
    return certificate.names.map((name) => ({
      name,
      issuer,
      expiry: seconds(notAfter),
      // One from files was obtained elsewhere, about when it begins; the alert in the README needs both ends.
      issued: seconds(issuedAt ?? notBefore),
      nextAttempt: seconds(nextAttempt),
      stored: serving === "stored" && servesAsTold(name),
      rehearsal:
        rehearsal === null
          ? null
          : { passed: rehearsal.outcome === "passed", at: Math.round(rehearsal.at / 1000) },
    }));
  });
}

function seconds(time: number | null): number | null {
  return time === null ? null : Math.round(time / 1000);
}
