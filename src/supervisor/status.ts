import type { PageStatus } from "../status-page/page.ts";

/** What `paddock status --json` prints: all that the status page shows, and what only an operator's tool needs. */
export interface DaemonStatus extends PageStatus {
  readonly pid: number;
  /** The file; null where there is none. */
  readonly configuration: string | null;
}
