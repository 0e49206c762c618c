import type { Configuration } from "./config/configuration.ts";
import type { TlsCertificate } from "./tls/certificate.ts";
import type { WorkerCounts } from "./metrics/request-counts.ts";

/**
 * Supervisor to worker. Each carries an `id` and is answered with `{ done: id }` once it is in force, so that
 * the supervisor can wait until every worker holds a challenge token or a certificate.
 */
export type WorkerOrder =
  | {
      readonly id: number;
      readonly type: "configure";
      readonly configuration: Configuration;
      readonly ticketKeys: string;
    }
  | { readonly id: number; readonly type: "certificates"; readonly certificates: readonly TlsCertificate[] }
  | {
      readonly id: number;
      readonly type: "challenges";
      readonly challenges: readonly (readonly [string, string])[];
    }
  | { readonly id: number; readonly type: "counts" }
  | { readonly id: number; readonly type: "drain"; readonly timeout: number; readonly idle: number };

/** Comes with a socket. */
export interface ConnectionHandover {
  readonly type: "connection";
  readonly listener: "http" | "https";
}

/** Worker to supervisor. */
export type WorkerReport =
  | { readonly type: "started" }
  | { readonly type: "done"; readonly id: number; readonly counts?: WorkerCounts };
