import type { ClockDifference } from "../certificates/clock-doubt.ts";
import type { PageStatus } from "../status-page/page.ts";

/** What `paddock status --json` prints: all that the status page shows, and what only an operator's tool needs. */
export interface DaemonStatus extends PageStatus {
  readonly pid: number;
  /** The file; null where there is none. */
  readonly configuration: string | null;
  /** Where the CA that was heard last has another time, by five minutes or more; null where it agrees. */
  readonly clock: ClockDifference | null;
}
