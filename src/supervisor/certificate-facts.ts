import { ON_DEMAND, type CertificateStatus } from "../certificates/status.ts";
import type { CertificateFacts } from "../metrics/exposition.ts";

/** The label of a name in the metrics. */
export function labelOf(name: string, statuses: readonly CertificateStatus[]): string {
  return statuses.some(({ onDemand, names }) => onDemand !== undefined && names.includes(name))
    ? ON_DEMAND
    : name;
}

/**
 * What the metrics say of each certificate. Those on demand are one, the one that ends first, since the alert is about
 * the end; what lapses because nobody wants it is left out.
 *
 * @param servesAsTold whether the last look found what is stored.
 */
export function certificateFacts(
  statuses: readonly CertificateStatus[],
  servesAsTold: (name: string) => boolean,
): CertificateFacts[] {
  const facts = (status: CertificateStatus, label: string, name: string): CertificateFacts => ({
    name: label,
    issuer: status.issuer,
    expiry: seconds(status.notAfter),
    // One from files was obtained elsewhere, about when it begins; the alert in the README needs both ends.
    issued: seconds(status.issuedAt ?? status.notBefore),
    nextAttempt: seconds(status.nextAttempt),
    stored: status.serving === "stored" && servesAsTold(name),
    rehearsal:
      status.rehearsal === null
        ? null
        : { passed: status.rehearsal.outcome === "passed", at: Math.round(status.rehearsal.at / 1000) },
  });
  const configured = statuses.filter(({ onDemand }) => onDemand === undefined);
  const kept = statuses.filter(({ onDemand, notAfter }) => onDemand === "kept" && notAfter !== null);
  const [first] = kept.toSorted((a, b) => (a.notAfter ?? 0) - (b.notAfter ?? 0));
  const onDemand =
    first === undefined
      ? []
      : [
          {
            ...facts(first, ON_DEMAND, first.name),
            nextAttempt: seconds(Math.min(...kept.map(({ nextAttempt }) => nextAttempt ?? Infinity))),
            stored: kept.every(({ name, serving }) => serving === "stored" && servesAsTold(name)),
          },
        ];
  return [
    ...configured.flatMap((status) => status.names.map((name) => facts(status, name, name))),
    ...onDemand,
  ];
}

function seconds(time: number | null): number | null {
  return time === null || !Number.isFinite(time) ? null : Math.round(time / 1000);
}
