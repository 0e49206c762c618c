import type { Timer } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { AttemptFailed, attemptIssuers } from "./attempt.ts";
import { setKey } from "./file-name.ts";
import { refuseIfHeld } from "./issuer-order.ts";
import { JobVoice } from "./job-voice.ts";
import type { CertificateJournal } from "./journal-event.ts";
import { journalText } from "./journal-text.ts";
import type { JobContext } from "./job-context.ts";
import { KeptCertificate } from "./kept-certificate.ts";
import type { OrderLane } from "./order-queue.ts";
import { laneOf, type CertificatePlan } from "./plan.ts";
import type { CertificateSubject } from "./rehearsals.ts";
import { askRenewalWish } from "./renewal-wish.ts";
import { sentenceOf } from "./sentences.ts";
import { ServedChange } from "./served-change.ts";
import type { CertificateStatus, ServedCertificate } from "./status.ts";
import type { StoredCertificate } from "./store.ts";
import { isUnderWay, loadNewest, type StoredCertificates } from "./stored-certificates.ts";
import { mintTemporary } from "./temporary.ts";

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
  readonly #voice: JobVoice;
  readonly #journal: CertificateJournal;
  #plan: IssuedPlan;
  readonly #change: ServedChange;
  #timer: Timer | null = null;
  #turn: Promise<void> | null = null;
  /** An attempt is under way, or waits for its turn. */
  #attempting = false;
  #isPostponed = false;
  /** The next attempt is made whatever speaks against it. */
  #forced = false;

  constructor(plan: IssuedPlan, context: JobContext) {
    this.#plan = plan;
    this.#context = context;
    this.#log = context.log.child({ certificate: plan.names[0] });
    this.#kept = new KeptCertificate(plan.names, context.clock.now());
    this.#voice = new JobVoice(this.#kept, this.#log);
    this.#journal = context.journals.of(plan.names);
    this.#change = new ServedChange(context);
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
      if (kept.valid(this.#now) === null)
        kept.standIns = all.standInsFor(this.#plan.names, this.#context.local.name, this.#now);
      // The embedded CA is at hand, so a certificate of its own that is not valid now need not be served at all.
      if (this.#isLocal && kept.nextAttempt <= this.#now) await this.#attempt();
      // A renewal that the last process did not see the end of; without this it waited for the next one's time.
      if (await isUnderWay(this.#plan, stored)) kept.nextAttempt = this.#now;
      return;
    }
    if (this.#plan.onDemand !== undefined) return;
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
    this.#change.note(this.served());
    if (kept.stored === null) {
      this.#voice.sayWaiting(this.#now);
    } else if (kept.valid(this.#now) === null) kept.state = "failing";
    else if (kept.state !== "valid") {
      if (quietly) kept.state = "valid";
      else this.#voice.sayValid("found in the storage");
    }
    this.#arm();
  }

  /** The clock was set, `by` milliseconds ahead; timers and plans were made by what it said before. */
  replan(by: number): void {
    const kept = this.#kept;
    const failing = kept.failures > 0;
    kept.replan(by, this.#now, this.#context.random());
    this.#renewUnborn();
    if (kept.valid(this.#now) !== null && (kept.state === "failing") !== kept.failures > 0) {
      this.#voice.sayValid("is good by the clock as it is now");
    }
    if (failing) this.#recordNext();
    if (this.#turn === null) this.#arm();
  }

  /** The same certificate after a reload: its issuers may have other settings, the storage a newer one. */
  update(plan: IssuedPlan, all: StoredCertificates): void {
    this.#plan = plan;
    const { stored } = this.#kept;
    const newest = all.newestFor(this.#plan, this.#now);
    if (newest === null || newest.issuedAt <= (stored?.issuedAt ?? -Infinity)) return;
    this.#adopt(newest);
    this.#voice.sayValid("found in the storage");
    if (this.#turn === null) this.#arm();
  }

  served(): ServedCertificate[] {
    return this.#kept.served(this.#now);
  }

  status(): CertificateStatus {
    return this.#kept.status(this.#issuerName, this.#context.rehearsals);
  }

  /** What is kept, for those who do something else with it. */
  get subject(): CertificateSubject {
    const { stored, nextAttempt } = this.#kept;
    return { ...this.#plan, stored, nextAttempt };
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
      kept.wish(this.#now);
    }
    const before = kept.failures;
    await this.#wake();
    this.#ending.signal.throwIfAborted();
    if (kept.failures > before || kept.heldBack) throw kept.lastError?.error;
    if (this.#isPostponed) throw new PaddockError("certificate.not-wanted", kept.notWanted);
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
    if (this.#plan.onDemand === undefined && kept.needsTemporary(this.#now)) await this.#mintTemporary();
    this.#voice.sayEnd(this.#now);
    await this.#change.publish(this.served());
    if (kept.nextRenewalInfo <= this.#now) {
      const [log, journal, { signal }] = [this.#log, this.#journal, this.#ending];
      await askRenewalWish(kept, this.#plan.issuers, { ...this.#context, log, journal, signal });
    }
    if (kept.nextAttempt <= this.#now && !this.#ending.signal.aborted) await this.#attempt();
  }

  async #attempt(): Promise<void> {
    const [{ queue }, { signal }] = [this.#context, this.#ending];
    this.#attempting = true;
    let storedAt: number;
    try {
      const postponed = (await this.#plan.onDemand?.postponed()) ?? null;
      this.#isPostponed = postponed !== null;
      if (postponed !== null) {
        this.#kept.nextAttempt = postponed;
        return;
      }
      const lane = laneOf(this.#plan, this.#isLocal, this.#kept.stored === null);
      this.#adopt(await queue.run(setKey(this.#plan.names), lane, signal, () => this.#order(lane)));
      storedAt = this.#now;
      this.#recordNext();
    } catch (error) {
      this.#fail(error);
      return;
    } finally {
      this.#attempting = false;
    }
    await this.#context.publish();
    this.#voice.sayValid("issued", { swapMilliseconds: this.#now - storedAt });
  }

  async #order(lane: OrderLane): Promise<StoredCertificate> {
    const kept = this.#kept;
    const { stored: predecessor, wished: direct, onWarnings } = kept;
    // A job that a reload ended may have got it while we waited for our turn.
    const other = await loadNewest(this.#context.store, this.#plan, this.#now);
    const newer = other !== null && other.issuedAt > (predecessor?.issuedAt ?? -Infinity);
    if (newer && other.notAfter > this.#now) return other;
    const state = kept.valid(this.#now) === null ? "issuing" : "renewing";
    this.#voice.say(state, "info", `ordering a certificate for ${kept.title} from ${this.#issuerName}`);
    const { names, issuers } = this.#plan;
    const [journal, { signal }, force] = [this.#journal, this.#ending, this.#forced];
    this.#forced = false;
    const awaited = lane === "awaited";
    const attempt = { names, issuers, predecessor, direct, journal, signal, force, awaited, onWarnings };
    return await attemptIssuers(attempt, this.#context);
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return;
    const kept = this.#kept;
    // A domain that a customer has not pointed here yet is nothing to wake the operator for.
    const isOurs = this.#plan.onDemand === undefined || kept.stored !== null;
    const held = error instanceof AttemptFailed ? error.heldUntil : null;
    if (held !== null) kept.hold(error, held, this.#now);
    else {
      kept.fail(error, this.#now, this.#context.random());
      if (isOurs) this.#journal.record({ kind: "attempt-failed", error: journalText(sentenceOf(error)) });
    }
    this.#recordNext();
    this.#voice.sayFailure(error, this.#now, isOurs);
  }

  #adopt(stored: StoredCertificate): void {
    this.#kept.adopt(stored, this.#context.random());
    this.#kept.nextRenewalInfo = this.#isLocal ? Infinity : this.#now + this.#context.spread();
    this.#renewUnborn();
  }

  /** What the embedded CA made while the clock was ahead is not valid to anybody yet. An outside CA's says that ours is behind. */
  #renewUnborn(): void {
    const { stored } = this.#kept;
    if (stored !== null && stored.issuer === this.#context.local.name && stored.notBefore > this.#now)
      this.#kept.nextAttempt = this.#now;
  }

  async #mintTemporary(): Promise<void> {
    const [{ local }, { signal }] = [this.#context, this.#ending];
    this.#kept.temporary = await mintTemporary(local, this.#plan.names, signal);
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
}
