import { canonicalName, covers } from "./certificate-pair.ts";
import type { CertificateStatus } from "./status.ts";

/** The one whose certificate serves `name`: that of exactly this name before a wildcard. */
export function byName<T extends { status(): CertificateStatus }>(
  all: readonly T[],
  name: string,
): T | undefined {
  const wanted = canonicalName(name);
  return (
    all.find((one) => one.status().names.includes(wanted)) ??
    all.find((one) => covers(one.status().names, wanted))
  );
}
