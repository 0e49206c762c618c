import type { Timer } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { certificateKey } from "../tls/certificate.ts";
import { AttemptFailed, attemptIssuers, refuseIfHeld } from "./attempt.ts";
import { readPair } from "./certificate-pair.ts";
import { setKey } from "./file-name.ts";
import type { Issuer } from "./issuer.ts";
import type { JobContext } from "./job-context.ts";
import type { CertificateJournal } from "./journal-event.ts";
import { journalText } from "./journal-text.ts";
import { KeptCertificate } from "./kept-certificate.ts";
import type { CertificatePlan } from "./plan.ts";
import { askRenewalWish } from "./renewal-wish.ts";
import { moment, sentenceOf } from "./sentences.ts";
import type { CertificateState, CertificateStatus, ServedCertificate } from "./status.ts";
import type { StoredCertificate } from "./store.ts";
import { isUnderWay, loadNewest, type StoredCertificates } from "./stored-certificates.ts";

type IssuedPlan = Extract<CertificatePlan, { kind: "issued" }>;

/**
 * Keeps one certificate: obtains it, serves a temporary one until then, renews it, and tries again after
 * failures. It sleeps on one timer until the next thing to do, and does one thing at a time.
 */
export class CertificateJob {
  readonly #context: JobContext;
  readonly #log: Logger;
  readonly #ending = new AbortController();
  readonly #kept: KeptCertificate;
  readonly #journal: CertificateJournal;
  #plan: IssuedPlan;
  /** The keys of what this one last asked to be served. */
  #published = "";
  #timer: Timer | null = null;
  #turn: Promise<void> | null = null;
  /** An attempt is under way, or waits for its turn. */
  #attempting = false;
  /** The next attempt is made whatever speaks against it. */
  #forced = false;

  constructor(plan: IssuedPlan, context: JobContext) {
    this.#plan = plan;
    this.#context = context;
    this.#log = context.log.child({ certificate: plan.names[0] });
    this.#kept = new KeptCertificate(plan.names, context.clock.now());
    this.#journal = context.journals.of(plan.names);
  }

  /**
   * Reads the store and makes sure that there is something to serve, without asking any CA outside.
   *
   * @param all the readable certificates of the storage: its own, and those that may stand in.
   * @throws PaddockError when the storage cannot be used.
   */
  async load(all: StoredCertificates): Promise<void> {
    const kept = this.#kept;
    const stored = all.newestFor(this.#plan, this.#now);
    if (stored !== null) {
      this.#adopt(stored);
      // A renewal that the last process did not see the end of; without this it waited for the next one's time.
      if (await isUnderWay(this.#plan, stored)) kept.nextAttempt = this.#now;
      return;
    }
    if (this.#isLocal) {
      await this.#attempt();
      if (kept.stored === null) throw kept.lastError?.error;
      return;
    }
    kept.standIns = all.standInsFor(this.#plan.names, this.#context.local.name, this.#now);
    await this.#mintTemporary();
  }

  /**
   * From now on it acts by itself.
   *
   * @param quietly say nothing of what is as it should be.
   */
  start(quietly: boolean): void {
    const kept = this.#kept;
    if (kept.stored === null) {
      this.#say(
        "waiting",
        "info",
        `no certificate for ${kept.title} yet: ${kept.meanwhile(this.#now)}, until one is issued`,
      );
    } else if (kept.state !== "valid") {
      if (quietly) kept.state = "valid";
      else this.#sayValid("found in the storage");
    }
    this.#arm();
  }

  /** The same certificate after a reload: its issuers may have other settings, the storage a newer one. */
  update(plan: IssuedPlan, all: StoredCertificates): void {
    this.#plan = plan;
    const { stored } = this.#kept;
    const newest = all.newestFor(this.#plan, this.#now);
    if (newest === null || newest.issuedAt <= (stored?.issuedAt ?? -Infinity)) return;
    this.#adopt(newest);
    this.#sayValid("found in the storage");
    if (this.#turn === null) this.#arm();
  }

  served(): ServedCertificate[] {
    return this.#kept.served(this.#now);
  }

  status(): CertificateStatus {
    return this.#kept.status(this.#issuerName, this.#now);
  }

  get revocable(): { readonly stored: StoredCertificate | null; readonly issuers: readonly Issuer[] } {
    return { stored: this.#kept.stored, issuers: this.#plan.issuers };
  }

  /** @throws HeldBack where no issuer may be asked; the schedule is as before. */
  async refuseIfHeld(): Promise<void> {
    await refuseIfHeld({ ...this.#plan, predecessor: this.#kept.stored }, this.#context.guard);
  }

  /**
   * An attempt now, whatever the schedule says; joins one that is under way. Rejects with its failure.
   *
   * @param force whatever the guard says, too.
   */
  async renewNow(force = false): Promise<void> {
    const kept = this.#kept;
    if (!this.#attempting) {
      await this.#turn;
      this.#forced = force;
      kept.nextAttempt = this.#now;
      // Else the issuer's wish would move the attempt away again.
      kept.nextRenewalInfo = Infinity;
    }
    const before = kept.failures;
    await this.#wake();
    this.#ending.signal.throwIfAborted();
    if (kept.failures > before || kept.heldBack) throw kept.lastError?.error;
  }

  /** Ends the order that is under way; resolves once it has cleaned up. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#ending.abort(
      new PaddockError("certificate.job-ended", "the order was ended by a reload or a shutdown"),
    );
    await this.#turn;
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  #wake(): Promise<void> {
    this.#timer?.cancel();
    this.#turn ??= this.#act()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#turn = null;
        this.#arm();
      });
    return this.#turn;
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#ending.signal.aborted) return;
    const wait = this.#kept.nextEvent(this.#now) - this.#now;
    this.#timer = this.#context.clock.setTimer(Math.max(0, wait), () => void this.#wake());
  }

  async #act(): Promise<void> {
    const kept = this.#kept;
    if (kept.needsTemporary(this.#now)) {
      const { stored, temporary } = kept;
      await this.#mintTemporary();
      if (stored !== null && temporary === null) {
        const ended = `the certificate for ${kept.title} ended at ${moment(stored.notAfter)}`;
        this.#log.error({ state: kept.state }, `${ended}; ${kept.meanwhile(this.#now)}`);
      }
    }
    await this.#publishChange();
    if (kept.nextRenewalInfo <= this.#now) {
      const [log, journal, { signal }] = [this.#log, this.#journal, this.#ending];
      await askRenewalWish(kept, this.#plan.issuers, { ...this.#context, log, journal, signal });
    }
    if (kept.nextAttempt <= this.#now && !this.#ending.signal.aborted) await this.#attempt();
  }

  /** The set of ten thousand is not put together for each that only asks for renewal information. */
  async #publishChange(): Promise<void> {
    const served = this.served().map(certificateKey).join("\n");
    if (served === this.#published && !this.#context.isUnsent()) return;
    this.#published = served;
    await this.#context.publish();
  }

  async #attempt(): Promise<void> {
    const { queue } = this.#context;
    const { signal } = this.#ending;
    this.#attempting = true;
    let storedAt: number;
    try {
      this.#adopt(await queue.run(setKey(this.#plan.names), this.#isLocal, signal, () => this.#order()));
      storedAt = this.#now;
      this.#recordNext();
    } catch (error) {
      this.#fail(error);
      return;
    } finally {
      this.#attempting = false;
    }
    await this.#context.publish();
    this.#sayValid("issued", { swapMilliseconds: this.#now - storedAt });
  }

  async #order(): Promise<StoredCertificate> {
    const kept = this.#kept;
    const predecessor = kept.stored;
    // A job that a reload ended may have got it while we waited for our turn.
    const other = await loadNewest(this.#context.store, this.#plan, this.#now);
    if (other !== null && other.issuedAt > (predecessor?.issuedAt ?? -Infinity)) return other;
    const state = kept.valid(this.#now) === null ? "issuing" : "renewing";
    this.#say(state, "info", `ordering a certificate for ${kept.title} from ${this.#issuerName}`);
    const { names, issuers } = this.#plan;
    const [journal, { signal }, force] = [this.#journal, this.#ending, this.#forced];
    this.#forced = false;
    const onWarnings = (warnings: readonly string[]): void => void (kept.warnings = warnings);
    const attempt = { names, issuers, predecessor, journal, signal, force, onWarnings };
    return await attemptIssuers(attempt, this.#context);
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    const kept = this.#kept;
    const held = error instanceof AttemptFailed ? error.heldUntil : null;
    if (held !== null) kept.hold(error, held, this.#now);
    else {
      kept.fail(error, this.#now, this.#context.random());
      this.#journal.record({ kind: "attempt-failed", error: journalText(sentenceOf(error)) });
    }
    this.#recordNext();
    const sentence = kept.complaint(error, this.#now);
    const level = kept.valid(this.#now) === null ? "error" : "warn";
    this.#say("failing", level, sentence, { err: error, failures: kept.failures });
  }

  #adopt(stored: StoredCertificate): void {
    this.#kept.adopt(stored, this.#context.random());
    this.#kept.nextRenewalInfo = this.#isLocal ? Infinity : this.#now + this.#context.spread();
  }

  async #mintTemporary(): Promise<void> {
    const { local } = this.#context;
    const issued = await local.issue({
      names: this.#plan.names,
      replaces: null,
      signal: this.#ending.signal,
    });
    this.#kept.temporary = readPair(issued.chain, issued.key);
  }

  #recordNext(): void {
    const { nextAttempt: due, why } = this.#kept;
    this.#journal.record({ kind: "next-attempt", due, why });
  }

  get #now(): number {
    return this.#context.clock.now();
  }

  get #isLocal(): boolean {
    return this.#plan.issuers[0] === this.#context.local;
  }

  get #issuerName(): string {
    return this.#plan.issuers[0].name;
  }

  /** `swapMilliseconds`: from stored until every worker had said that it serves it. */
  #sayValid(how: string, swap: { swapMilliseconds?: number } = {}): void {
    const { stored } = this.#kept;
    if (stored === null) return;
    const fields = { fingerprint: stored.fingerprint, ...swap };
    this.#say("valid", "info", this.#kept.acquired(stored, how), fields);
  }

  /** Each change of state is one line of the log. */
  #say(
    state: CertificateState,
    level: "info" | "warn" | "error",
    sentence: string,
    fields: object = {},
  ): void {
    this.#kept.state = state;
    this.#log[level]({ ...fields, state }, sentence);
  }
}
