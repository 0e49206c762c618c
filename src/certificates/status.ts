import type { RehearsalOutcome } from "./journal-event.ts";
import type { TlsCertificate } from "../tls/certificate.ts";

/**
 * - `waiting`: nothing stored yet, and the first order has not begun
 * - `issuing`: nothing stored yet, an order is under way
 * - `valid`: a good certificate is served, the next renewal is ahead
 * - `renewing`: a good certificate is served, an order is under way
 * - `failing`: the last attempt failed or was held back (or a certificate of the operator's has ended)
 */
export type CertificateState = "waiting" | "issuing" | "valid" | "renewing" | "failing";

/** The last rehearsal of an order that said something. */
export interface RehearsalStatus {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The staging directory, as `issuers` names it. */
  readonly issuer: string;
  readonly outcome: RehearsalOutcome;
  readonly error: string | null;
}

/** One certificate as `status`, the metrics and the status page show it. Times are milliseconds since the epoch. */
export interface CertificateStatus {
  /** The first of `names`. */
  readonly name: string;
  readonly names: readonly string[];
  /** Who made the stored one; where there is none, who is asked first. `files` for the operator's own. */
  readonly issuer: string;
  readonly state: CertificateState;
  /** What has to happen next, as a sentence; null where nothing has to. */
  readonly waitingFor: string | null;
  /** Of the stored certificate; null where there is none. */
  readonly notBefore: number | null;
  readonly notAfter: number | null;
  readonly issuedAt: number | null;
  /** Of the stored certificate: SHA-256, lower-case hex. */
  readonly fingerprint: string | null;
  readonly nextAttempt: number | null;
  /** Why then, as a clause; null where no attempt is ahead. */
  readonly nextReason: string | null;
  /** Failures in a row. */
  readonly failures: number;
  readonly lastError: { readonly message: string; readonly at: number } | null;
  /** What the look before the first order found, sentence by sentence; empty once there is a certificate. */
  readonly warnings: readonly string[];
  readonly serving: "stored" | "temporary";
  /** Only of a name on demand. `lapsing`: it is not renewed, since nobody uses it or the app said no. */
  readonly onDemand?: "kept" | "lapsing";
  /** Null where there was none. */
  readonly rehearsal: RehearsalStatus | null;
}

/** A certificate to serve, and where it is from. */
export interface ServedCertificate extends TlsCertificate {
  readonly issuer: string;
  readonly origin: "stored" | "temporary";
}

/** What stands for every name on demand in metrics, whose labels are from bounded sets: strangers bring these up. */
export const ON_DEMAND = "on-demand";

/** One attempt at one issuer, for metrics. */
export interface CertificateAttempt {
  readonly name: string;
  readonly issuer: string;
  readonly outcome: "success" | "failure";
}
