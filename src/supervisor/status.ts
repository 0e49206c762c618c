/** What `paddock status --json` prints. Times are milliseconds since the epoch. */
export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly startedAt: number;
  readonly configuration: string | null;
  readonly ready: boolean;
  readonly sites: readonly {
    readonly names: readonly string[];
    readonly upstream: string | null;
    readonly static: readonly string[];
  }[];
  readonly certificates: readonly {
    readonly name: string;
    readonly names: readonly string[];
    readonly issuer: string;
    readonly state: string;
    readonly waitingFor: string | null;
    readonly notAfter: number | null;
    readonly nextAttempt: number | null;
    readonly serving: "stored" | "temporary";
    readonly lastError: { readonly message: string; readonly at: number } | null;
  }[];
  readonly workers: readonly { readonly pid: number; readonly state: string; readonly startedAt: number }[];
}
