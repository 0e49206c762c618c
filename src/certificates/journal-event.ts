import type { ServedCertificate } from "./status.ts";

/** A problem document (RFC 7807, RFC 8555 §6.7) as the CA sent it. */
export interface JournalProblem {
  readonly type: string;
  readonly detail: string;
  readonly subproblems: readonly {
    readonly type: string;
    readonly detail: string;
    readonly identifier: string | null;
  }[];
}

/** Which certificate is served for which of the names. */
export type ServedPart = Pick<ServedCertificate, "names" | "fingerprint" | "issuer" | "origin">;

/**
 * Why somebody is told: the first failure, three in a row, less than a quarter of the life left, all well again; a
 * rehearsal that failed, and one that passes again.
 */
export type NoticeReason =
  | "failing"
  | "failing-repeatedly"
  | "ending"
  | "recovered"
  | "rehearsal-failed"
  | "rehearsal-recovered";

/** `unavailable`: the staging directory was away or unwilling, which says nothing about the site. */
export type RehearsalOutcome = "passed" | "failed" | "unavailable";

/** By the operator, after a change of the configuration, by schedule, or after an order that failed. */
export type RehearsalOccasion = "command" | "configuration" | "schedule" | "failure";

/**
 * What the flight recorder of a certificate takes down. Times are milliseconds since the epoch. Never a key, a
 * challenge token or a key authorization: `journal-text.ts` also takes them out of what a CA wrote.
 */
export type JournalEvent =
  | { readonly kind: "order-begun"; readonly issuer: string }
  /** The CA has taken the order; its URL is the order's identity at the CA. */
  | { readonly kind: "order-created"; readonly issuer: string; readonly url: string }
  /** `reused`: the CA still held an authorization from an order before, and asked for nothing. */
  | {
      readonly kind: "challenge";
      readonly issuer: string;
      readonly name: string;
      readonly challenge: string | null;
      readonly outcome: "valid" | "reused" | "failed";
      readonly problem: JournalProblem | null;
    }
  | {
      readonly kind: "order-finished";
      readonly issuer: string;
      readonly fingerprint: string;
      readonly notAfter: number;
    }
  | {
      readonly kind: "order-failed";
      readonly issuer: string;
      readonly error: string;
      readonly problem: JournalProblem | null;
    }
  /** An order at a staging directory, from its beginning to its end. */
  | {
      readonly kind: "rehearsal";
      readonly issuer: string;
      readonly occasion: RehearsalOccasion;
      readonly outcome: RehearsalOutcome;
      readonly error: string | null;
      readonly problem: JournalProblem | null;
    }
  /** The guard let no order begin; `until` is null where somebody has to act first. */
  | {
      readonly kind: "held-back";
      readonly issuer: string;
      readonly until: number | null;
      readonly why: string;
    }
  /** What was seen from here before the first order, and may keep the CA from a certificate. */
  | { readonly kind: "preflight"; readonly issuer: string; readonly warning: string }
  /** No issuer gave a certificate. */
  | { readonly kind: "attempt-failed"; readonly error: string }
  | { readonly kind: "next-attempt"; readonly due: number; readonly why: string }
  /** The issuer's wish (RFC 9773), and the moment that was chosen in it. */
  | {
      readonly kind: "renewal-window";
      readonly issuer: string;
      readonly start: number;
      readonly end: number;
      readonly due: number;
      readonly explanationUrl: string | null;
    }
  /** From now on; taken down where it is not what was taken down before. */
  | { readonly kind: "served"; readonly certificates: readonly ServedPart[] }
  /** Less than a quarter of its life is left. */
  | { readonly kind: "ending"; readonly fingerprint: string; readonly notAfter: number }
  /** `found` is null where the handshake gave no certificate. */
  | {
      readonly kind: "served-other";
      readonly name: string;
      readonly where: string;
      readonly expected: string;
      readonly found: string | null;
    }
  | { readonly kind: "served-repaired"; readonly name: string }
  | {
      readonly kind: "notified";
      readonly reason: NoticeReason;
      readonly channel: string;
      readonly error: string | null;
    };

export type JournalEntry = { readonly at: number } & JournalEvent;

/**
 * Where one certificate's events go. `record` MUST return at once and MUST NOT throw: what it costs to keep a
 * journal, and a disk that is full, are no reason to renew later or to serve less.
 */
export interface CertificateJournal {
  record(event: JournalEvent): void;
}
