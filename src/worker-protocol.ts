import type { Configuration } from "./config/configuration.ts";
import type { Maintenance } from "./handlers/maintenance.ts";
import type { TlsCertificate } from "./tls/certificate.ts";
import type { InvalidatedKeys } from "./handlers/cache/caches.ts";
import type { PassedRequests } from "./handlers/protection/rate-limits.ts";
import type { UpstreamLoad, WorkerCounts } from "./metrics/request-counts.ts";

/** What the others must know of one worker's clients, so that limits and caches hold for all workers together. */
export interface WorkerUsage {
  /** Requests that rate limits let through since the report before; null where there were none. */
  readonly passed: PassedRequests | null;
  /** Client to open connections, for those that have many, in place of the report before; null: as before. */
  readonly connections: Readonly<Record<string, number>> | null;
  /** What is cached and has been changed since; null for nothing. */
  readonly invalidated: InvalidatedKeys | null;
}

/** What the workers show to a CA that looks. */
export interface PendingChallenges {
  /** http-01: token and key authorization. */
  readonly answers: readonly (readonly [string, string])[];
  /** tls-alpn-01, each under the server name that the CA sends. */
  readonly certificates: readonly TlsCertificate[];
}

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
  /** What is new, and the keys of what is not served any more; the others stay as they are. */
  | {
      readonly id: number;
      readonly type: "certificates";
      readonly added: readonly TlsCertificate[];
      readonly removed: readonly string[];
    }
  | { readonly id: number; readonly type: "challenges"; readonly challenges: PendingChallenges }
  /** Once for each name of a site that is closed; all others are open. */
  | { readonly id: number; readonly type: "maintenance"; readonly sites: readonly Maintenance[] }
  | { readonly id: number; readonly type: "counts" }
  /** Which certificates does it hold for these names? Answered by `fingerprints`. */
  | { readonly id: number; readonly type: "held"; readonly names: readonly string[] }
  /** The answer to `wanted`; `holds` as WantedNames takes it. */
  | { readonly id: number; readonly type: "answered"; readonly name: string; readonly holds: number }
  /** So many requests at a time from this worker to the upstream. */
  | { readonly id: number; readonly type: "limit"; readonly upstream: string; readonly limit: number }
  /** What another worker, by its process id, told. */
  | { readonly id: number; readonly type: "elsewhere"; readonly worker: number; readonly usage: WorkerUsage }
  /** Forget what is cached; `pattern` as handlers/cache/cache-key.ts takes it, null for the whole site. */
  | { readonly id: number; readonly type: "purge"; readonly site: string; readonly pattern: string | null }
  /** Comes with the socket's handle: listen(2) on it and accept, until told otherwise. */
  | {
      readonly id: number;
      readonly type: "listen";
      readonly key: string;
      readonly listener: "http" | "https";
    }
  /** Stop to accept on it; what waits on the socket is for another worker. */
  | { readonly id: number; readonly type: "leave"; readonly key: string }
  | { readonly id: number; readonly type: "drain"; readonly timeout: number; readonly idle: number };

/** Worker to supervisor. */
export type WorkerReport =
  | { readonly type: "started" }
  /** Sent when it has changed, and at most ten times a second. */
  | { readonly type: "loads"; readonly loads: Readonly<Record<string, UpstreamLoad>> }
  /** For the other workers; sent when there is something to tell, and at most ten times a second. */
  | { readonly type: "usage"; readonly usage: WorkerUsage }
  /** A client called us by this name, which has no certificate; `client` as WantedNames has it. Once until answered. */
  | { readonly type: "wanted"; readonly name: string; readonly client: string | null }
  /** Names on demand that got requests; each once an hour. */
  | { readonly type: "used"; readonly names: readonly string[] }
  | {
      readonly type: "done";
      readonly id: number;
      readonly counts?: WorkerCounts;
      /** In the order of the names; null for none. */
      readonly fingerprints?: readonly (string | null)[];
    }
  /** An order that could not be carried out; `code` is that of the system's error. */
  | { readonly type: "failed"; readonly id: number; readonly code: string };
