import type { Clock } from "../clock.ts";
import type { Logger } from "../logging/logger.ts";
import { isUnproven, type Issuer, type IssuanceStep, type StagingIssuer } from "./issuer.ts";
import type { CertificateJournal, RehearsalOccasion, RehearsalOutcome } from "./journal-event.ts";
import { journalText, problemIn } from "./journal-text.ts";
import type { RehearsalRecords } from "./rehearsal-records.ts";
import { sentenceOf } from "./sentences.ts";
import type { CertificateAttempt, RehearsalStatus } from "./status.ts";
import { acceptIssued } from "./store.ts";

export interface RehearsalContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onAttempt: (attempt: CertificateAttempt) => void;
  readonly rehearsals: RehearsalRecords;
}

export interface RehearsalWish {
  readonly names: readonly [string, ...string[]];
  /** Whose staging directory it is. */
  readonly issuer: string;
  readonly staging: StagingIssuer;
  readonly occasion: RehearsalOccasion;
  readonly journal: CertificateJournal;
  readonly signal: AbortSignal;
}

/** How one name was proven, or was not; `challenge` is null where none was needed. */
export interface RehearsalProof {
  readonly name: string;
  readonly challenge: string | null;
  readonly proven: boolean;
  readonly error: string | null;
}

export interface Rehearsal extends RehearsalStatus {
  readonly proofs: readonly RehearsalProof[];
}

/**
 * Goes the whole way of an order at a staging directory: account, order, challenges through the workers, the
 * certificate and its checks. What is obtained is thrown away, and what is served stays.
 *
 * @throws the signal's reason when aborted, and nothing else.
 */
export async function rehearse(wish: RehearsalWish, context: RehearsalContext): Promise<Rehearsal> {
  const { names, issuer, staging, occasion, journal, signal } = wish;
  const { clock, onAttempt, rehearsals } = context;
  const proofs: RehearsalProof[] = [];
  const observe = (step: IssuanceStep): void => {
    if (step.kind === "challenge") proofs.push(proofOf(step));
  };
  let failure: { readonly error: unknown } | null = null;
  try {
    const issued = await staging.issue({ names, replaces: null, signal, observe });
    await issued.release?.();
    acceptIssued(issued, { issuer: staging.name, names, now: clock.now() });
  } catch (error) {
    signal.throwIfAborted();
    failure = { error };
  }
  const outcome = outcomeOf(failure);
  const error = failure === null ? null : journalText(sentenceOf(failure.error));
  const problem = failure === null ? null : problemIn(failure.error);
  journal.record({ kind: "rehearsal", issuer: staging.name, occasion, outcome, error, problem });
  onAttempt({
    name: names[0],
    issuer: staging.name,
    outcome: failure === null ? "success" : "failure",
  });
  const status = { at: clock.now(), issuer: staging.name, outcome, error };
  rehearsals.note(names, status);
  if (outcome === "passed") rehearsals.trust(names, issuer);
  return { ...status, proofs };
}

/** A staging directory that is away, busy or unwilling says nothing about the site. */
function outcomeOf(failure: { readonly error: unknown } | null): RehearsalOutcome {
  if (failure === null) return "passed";
  return isUnproven(failure.error) ? "failed" : "unavailable";
}

function proofOf(step: Extract<IssuanceStep, { kind: "challenge" }>): RehearsalProof {
  const { name, challenge, outcome, error } = step;
  const proven = outcome !== "failed";
  return { name, challenge, proven, error: proven ? null : journalText(sentenceOf(error)) };
}

/** The first issuer, in the order of the configuration, that has somewhere to rehearse at. */
export function stagedIssuer(
  issuers: readonly Issuer[],
): { readonly issuer: string; readonly staging: StagingIssuer } | null {
  for (const { name, staging } of issuers)
    if (staging !== undefined && staging !== null) return { issuer: name, staging };
  return null;
}
