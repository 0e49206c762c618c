import type { CertificateChoice } from "../config/configuration.ts";
import { isLocalName } from "../config/local-names.ts";
import { canonicalName } from "./certificate-pair.ts";
import { setKey } from "./file-name.ts";
import type { Issuer } from "./issuer.ts";
import type { OrderLane } from "./order-queue.ts";

/** What a site wants. */
export interface WantedCertificate {
  /** DNS names and IP addresses; the first one names the certificate. */
  readonly names: readonly string[];
  readonly choice: CertificateChoice;
  /** In the order of the configuration. */
  readonly issuers: readonly Issuer[];
}

/** Whether a name is still wanted; asked before each order. */
export interface OnDemandLeave {
  /** Until when there is no order, milliseconds since the epoch; null where one may begin. MUST NOT reject. */
  postponed(): Promise<number | null>;
}

/** One certificate to obtain or to read. Two plans with the same `key` are the same certificate. */
export type CertificatePlan = { readonly key: string; readonly names: readonly [string, ...string[]] } & (
  | {
      readonly kind: "issued";
      readonly issuers: readonly [Issuer, ...Issuer[]];
      /** For a name that the configuration does not know: nothing is served for it but its own certificate. */
      readonly onDemand?: OnDemandLeave;
    }
  | { readonly kind: "files"; readonly files: { readonly cert: string; readonly key: string } }
);

/**
 * Which certificates the wishes come to.
 *
 * - Names that no public CA certifies are parted from the others and go to the embedded CA.
 * - The embedded CA behind a public one is dropped from the list: as a fallback it gives what the temporary
 *   certificate is already, and taking its certificate for a success would end the attempts at the public one.
 * - The same set of names in two sites is one certificate.
 */
export function planCertificates(wanted: readonly WantedCertificate[], local: Issuer): CertificatePlan[] {
  const plans = new Map<string, CertificatePlan>();
  const add = (plan: CertificatePlan): void => void (plans.has(plan.key) || plans.set(plan.key, plan));
  for (const { names, choice, issuers } of wanted) {
    const all = [...new Set(names.map(canonicalName))];
    if (choice.kind === "files") {
      const { cert, key } = choice;
      const [first, ...rest] = all;
      if (first !== undefined)
        add({
          kind: "files",
          names: [first, ...rest],
          key: `files ${cert} ${key} ${setKey(all)}`,
          files: { cert, key },
        });
      continue;
    }
    const open = choice.kind === "auto" ? issuers.filter((issuer) => issuer.name !== local.name) : [];
    const [first, ...rest] = open;
    const isPublic = (name: string): boolean => first !== undefined && !isLocalName(name);
    if (first !== undefined) addIssued(all.filter(isPublic), [first, ...rest]);
    addIssued(
      all.filter((name) => !isPublic(name)),
      [local],
    );
  }
  return [...plans.values()];

  function addIssued(names: readonly string[], issuers: readonly [Issuer, ...Issuer[]]): void {
    const [first, ...rest] = names;
    if (first === undefined) return;
    const key = `issued ${issuers.map(({ name }) => name).join(" ")} ${setKey(names)}`;
    add({ kind: "issued", names: [first, ...rest], key, issuers });
  }
}

/** Where the order for a plan waits; `isFirst`: it has no certificate yet. */
export function laneOf(plan: CertificatePlan, isLocal: boolean, isFirst: boolean): OrderLane {
  if (isLocal) return "local";
  return plan.kind === "issued" && plan.onDemand !== undefined && isFirst ? "awaited" : "outside";
}
