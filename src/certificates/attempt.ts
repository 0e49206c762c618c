import type { Clock } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { allHeldBack, HeldBack, heldUntil } from "./guard/held-back.ts";
import type { IssuanceGuard, OrderIntent } from "./guard/issuance-guard.ts";
import { retryAfterOf, type IssuedCertificate, type Issuer } from "./issuer.ts";
import { observerFor } from "./journal-observer.ts";
import type { CertificateJournal } from "./journal-event.ts";
import { journalText, problemIn } from "./journal-text.ts";
import { sentenceOf } from "./sentences.ts";
import type { CertificateAttempt } from "./status.ts";
import { acceptIssued, type CertificateStore, type StoredCertificate } from "./store.ts";

export interface AttemptContext {
  readonly store: CertificateStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly guard: IssuanceGuard;
  readonly onAttempt: (attempt: CertificateAttempt) => void;
}

export interface Attempt {
  readonly names: readonly [string, ...string[]];
  readonly issuers: readonly Issuer[];
  /** The stored one, to be named to its own issuer as replaced. */
  readonly predecessor: StoredCertificate | null;
  readonly journal: CertificateJournal;
  /** Whatever speaks against it. */
  readonly force: boolean;
  /** Told of what the look before the first order found. */
  readonly onWarnings: (warnings: readonly string[]) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks the issuers in their order until one gives a certificate, and stores it. One that the guard holds back is passed
 * over, and the next is asked.
 *
 * @throws AttemptFailed when none did; the signal's reason when aborted.
 */
export async function attemptIssuers(attempt: Attempt, context: AttemptContext): Promise<StoredCertificate> {
  const failures: { issuer: string; error: unknown }[] = [];
  for (const issuer of attempt.issuers) {
    try {
      return await askIssuer(issuer, attempt, context);
    } catch (error) {
      attempt.signal.throwIfAborted();
      failures.push({ issuer: issuer.name, error });
      if (error instanceof HeldBack) {
        const [until, held] = [error.until, journalText(sentenceOf(error))];
        attempt.journal.record({ kind: "held-back", issuer: issuer.name, until, why: held });
        continue;
      }
      context.onAttempt({ name: attempt.names[0], issuer: issuer.name, outcome: "failure" });
      const [why, problem] = [journalText(sentenceOf(error)), problemIn(error)];
      attempt.journal.record({ kind: "order-failed", issuer: issuer.name, error: why, problem });
    }
  }
  throw new AttemptFailed(failures);
}

async function askIssuer(
  issuer: Issuer,
  attempt: Attempt,
  context: AttemptContext,
): Promise<StoredCertificate> {
  const { names, journal } = attempt;
  const { store, clock, log, onAttempt } = context;
  const issued = await order(issuer, attempt, context);
  let fresh: StoredCertificate;
  try {
    fresh = acceptIssued(issued, { issuer: issuer.name, names, now: clock.now() });
  } catch (error) {
    await issued.release?.();
    throw error;
  }
  const { fingerprint, notAfter } = fresh;
  journal.record({ kind: "order-finished", issuer: issuer.name, fingerprint, notAfter });
  onAttempt({ name: names[0], issuer: issuer.name, outcome: "success" });
  try {
    await store.save(fresh);
    await issued.release?.();
  } catch (error) {
    // A full disk is no reason not to serve what the CA gave. Its order is still kept, where the disk took that,
    // and a restart downloads it once more.
    log.error(
      { err: error },
      `the new certificate for ${names[0]} is served, but it is not stored: ${sentenceOf(error)}`,
    );
  }
  return fresh;
}

/** What comes before an order, and the order itself, which counts at the CA from here on. */
async function order(issuer: Issuer, attempt: Attempt, context: AttemptContext): Promise<IssuedCertificate> {
  const { names, predecessor, journal, signal, force } = attempt;
  const own = predecessor?.issuer === issuer.name ? predecessor : null;
  const intent = await intentOf(issuer, names, predecessor);
  const admission = await context.guard.admit(issuer, intent, force);
  try {
    if (predecessor === null && !force) await lookFirst(issuer, attempt, context);
    journal.record({ kind: "order-begun", issuer: issuer.name });
    const note = observerFor(journal, issuer.name);
    const observe: typeof note = (step) => {
      admission.observe(step);
      note(step);
    };
    const issued = await issuer.issue({ names, replaces: own?.chain ?? null, signal, observe });
    admission.issued();
    return issued;
  } catch (error) {
    admission.failed(error);
    throw error;
  }
}

/** @throws HeldBack where none of the issuers may be asked now. */
export async function refuseIfHeld(
  { names, issuers, predecessor }: Pick<Attempt, "names" | "issuers" | "predecessor">,
  guard: IssuanceGuard,
): Promise<void> {
  const asked = issuers.map(async (issuer) =>
    guard.refusal(issuer, await intentOf(issuer, names, predecessor)),
  );
  const refusal = allHeldBack(await Promise.all(asked));
  if (refusal !== null) throw refusal;
}

/** @param predecessor the stored one, whoever made it. */
async function intentOf(
  issuer: Issuer,
  names: readonly string[],
  predecessor: StoredCertificate | null,
): Promise<OrderIntent> {
  const own = predecessor?.issuer === issuer.name ? predecessor : null;
  const wished = (own?.renewal ?? null) !== null;
  // The CA has taken that order already, before a crash or a shutdown.
  const begun = (await issuer.underWay?.(names, predecessor?.key ?? null)) === true;
  return { names, renewal: own !== null, unlimited: wished || begun };
}

/** What cannot be seen from outside may still be seen by the CA, so most of it is only said; see the issuer. */
async function lookFirst(issuer: Issuer, attempt: Attempt, { log }: AttemptContext): Promise<void> {
  const { names, journal, signal, onWarnings } = attempt;
  if (issuer.preflight === undefined) return;
  // A stranger's server has a say in these sentences, and they are shown in terminals.
  const warnings = (await issuer.preflight(names, signal)).map(journalText);
  onWarnings(warnings);
  for (const warning of warnings) {
    journal.record({ kind: "preflight", issuer: issuer.name, warning });
    log.warn({ certificate: names[0] }, `before the order at ${issuer.name}: ${warning}`);
  }
}

/** No issuer gave a certificate. */
export class AttemptFailed extends PaddockError {
  /** The soonest that any of the issuers may be asked again, in milliseconds; null where none said so. */
  readonly retryAfter: number | null;
  /** When to come again, milliseconds since the epoch, where the guard held back every part of it; else null. */
  readonly heldUntil: number | null;

  constructor(failures: readonly { issuer: string; error: unknown }[]) {
    const sentences = failures.map(({ issuer, error }) => `${issuer}: ${sentenceOf(error)}`);
    super("certificate.attempt-failed", sentences.join(" "), { cause: failures[0]?.error });
    this.heldUntil = heldUntil(failures.map(({ error }) => error));
    const soonest = Math.min(...failures.map(({ error }) => retryAfterOf(error) ?? 0));
    this.retryAfter = soonest > 0 && Number.isFinite(soonest) ? soonest : null;
  }
}
