import type { Clock } from "../clock.ts";
import type { ClockDoubt } from "./clock-doubt.ts";
import type { Logger } from "../logging/logger.ts";
import { retryAfterOf, type Issuer } from "./issuer.ts";
import type { CertificateJournal } from "./journal-event.ts";
import type { KeptCertificate } from "./kept-certificate.ts";
import { renewalInfoDelay } from "./renewal-schedule.ts";
import { moment, sentenceOf } from "./sentences.ts";
import type { CertificateStore } from "./store.ts";

interface WishContext {
  readonly clock: Clock;
  readonly clockDoubt: ClockDoubt;
  readonly store: CertificateStore;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly log: Logger;
  readonly journal: CertificateJournal;
  readonly signal: AbortSignal;
}

/** Asks the issuer of the stored certificate when it wants it renewed (RFC 9773), and follows. Never rejects. */
export async function askRenewalWish(
  kept: KeptCertificate,
  issuers: readonly Issuer[],
  { clock, clockDoubt, store, random, log, journal, signal }: WishContext,
): Promise<void> {
  const { stored } = kept;
  const issuer = issuers.find(({ name }) => name === stored?.issuer);
  kept.nextRenewalInfo = Infinity;
  if (stored === null || issuer?.renewalWindow === undefined) return;
  try {
    const window = await issuer.renewalWindow(stored.chain, signal, (time) =>
      clockDoubt.hear(issuer.name, time),
    );
    kept.nextRenewalInfo = clock.now() + renewalInfoDelay(window?.retryAfter ?? null);
    if (window === null || !kept.follow(window, random())) return;
    const { start, end, explanationUrl } = window;
    const due = kept.nextAttempt;
    journal.record({ kind: "renewal-window", issuer: issuer.name, start, end, due, explanationUrl });
    const why = explanationUrl === null ? "" : `; why: ${explanationUrl}`;
    const sentence = `${issuer.name} has a wish when to renew ${kept.title}, it will be at ${moment(due)}`;
    log.info({ window }, sentence + why);
    if (kept.stored !== null) await store.save(kept.stored);
  } catch (error) {
    // The schedule by lifetime stands, so nobody has to act on this.
    if (kept.nextRenewalInfo === Infinity)
      kept.nextRenewalInfo = clock.now() + renewalInfoDelay(retryAfterOf(error));
    log.debug({ err: error }, `no renewal information for ${kept.title}: ${sentenceOf(error)}`);
  }
}
