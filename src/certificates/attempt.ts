import type { ClockDoubt } from "./clock-doubt.ts";
import { PaddockError } from "../errors.ts";
import { setKey } from "./file-name.ts";
import { HeldBack, heldUntil } from "./guard/held-back.ts";
import type { IssuanceGuard } from "./guard/issuance-guard.ts";
import { retryAfterOf, type Issuer } from "./issuer.ts";
import { orderAt } from "./issuer-order.ts";
import type { CertificateJournal } from "./journal-event.ts";
import { journalText, problemIn } from "./journal-text.ts";
import type { RehearsalContext } from "./rehearsal.ts";
import { noteOrder, RehearsalFailed } from "./rehearsal-first.ts";
import { sentenceOf } from "./sentences.ts";
import type { Storing } from "./storing.ts";
import { acceptIssued, type CertificateStore, type StoredCertificate } from "./store.ts";

export interface AttemptContext extends RehearsalContext {
  readonly store: CertificateStore;
  readonly storing: Storing;
  readonly clockDoubt: ClockDoubt;
  readonly guard: IssuanceGuard;
}

export interface Attempt {
  readonly names: readonly [string, ...string[]];
  readonly issuers: readonly Issuer[];
  /** The stored one, to be named to its own issuer as replaced. */
  readonly predecessor: StoredCertificate | null;
  /** Without a rehearsal, whatever the last order came to. */
  readonly direct: boolean;
  readonly journal: CertificateJournal;
  /** Whatever speaks against it. */
  readonly force: boolean;
  /** A handshake waits for it: the look before the first order asks the DNS alone, and no address. */
  readonly awaited: boolean;
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
      if (error instanceof RehearsalFailed) continue;
      if (error instanceof HeldBack) {
        const [until, held] = [error.until, journalText(sentenceOf(error))];
        attempt.journal.record({ kind: "held-back", issuer: issuer.name, until, why: held });
        continue;
      }
      noteOrder(issuer, attempt.names, { error }, context);
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
  const { store, storing, clockDoubt, onAttempt } = context;
  const { issued, time } = await orderAt(issuer, attempt, context);
  let fresh: StoredCertificate;
  try {
    fresh = acceptIssued(issued, { issuer: issuer.name, names, now: clockDoubt.better(time) });
  } catch (error) {
    await issued.release?.();
    throw error;
  }
  const { fingerprint, notAfter } = fresh;
  journal.record({ kind: "order-finished", issuer: issuer.name, fingerprint, notAfter });
  onAttempt({ name: names[0], issuer: issuer.name, outcome: "success" });
  noteOrder(issuer, names, null, context);
  // Until it is stored its order is kept, where the disk took that, and a restart downloads it once more.
  await storing.keep(
    `certificate ${issuer.name} ${setKey(names)}`,
    `the new certificate for ${names[0]}`,
    async () => {
      await store.save(fresh);
      await issued.release?.();
    },
  );
  return fresh;
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
