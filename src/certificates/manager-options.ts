import type { DamagedFiles } from "./damaged.ts";
import type { EmbeddedCa } from "./embedded-ca.ts";
import type { GuardOptions, IssuanceGuard } from "./guard/issuance-guard.ts";
import type { RememberedNames } from "./on-demand/remembered-names.ts";
import type { RehearsalRecords } from "./rehearsal-records.ts";
import type { Storing } from "./storing.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logging/logger.ts";
import type { CertificateAttempt, ServedCertificate } from "./status.ts";

export interface CertificateManagerOptions {
  /** Absolute path; made with mode 0700 where it is missing. */
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** `again`: the workers may have something else than they were told, so all of it has to be sent. */
  readonly onServe: (certificates: readonly ServedCertificate[], again: boolean) => Promise<void>;
  readonly onAttempt: (attempt: CertificateAttempt) => void;
  /** From 0 to below 1, for the jitter; Math.random unless given. */
  readonly random?: () => number;
  /** For tests: another CA's limits, another storage. */
  readonly guard?: Pick<GuardOptions, "limitsOf" | "storageDoubt">;
  /** How often the clock is looked at, milliseconds; a minute unless given. */
  readonly clockInterval?: number;
}

/** What is read from the storage before there is a manager. */
export interface ManagerParts {
  readonly damaged: DamagedFiles;
  readonly ca: EmbeddedCa;
  readonly guard: IssuanceGuard;
  readonly storing: Storing;
  readonly remembered: RememberedNames;
  readonly rehearsals: RehearsalRecords;
}
