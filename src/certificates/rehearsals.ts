import type { Timer } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import { setKey } from "./file-name.ts";
import type { Issuer, StagingIssuer } from "./issuer.ts";
import type { RehearsalOccasion } from "./journal-event.ts";
import type { JournalStore } from "./journal-store.ts";
import type { OrderQueue } from "./order-queue.ts";
import { rehearse, stagedIssuer, type Rehearsal, type RehearsalContext } from "./rehearsal.ts";
import { dueRehearsal, startDelay, type DueRehearsal } from "./rehearsal-schedule.ts";
import { moment } from "./sentences.ts";
import type { StoredCertificate } from "./store.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * In any 24 hours, of all certificates together. Let's Encrypt's staging takes 1500 orders in three hours; but
 * where there are thousands of names, a closed firewall shows at any 200 of them, and a test system is for all.
 */
const MOST_A_DAY = 200;
/** Milliseconds from the end of one to the beginning of the next. */
const GAP = 10_000;

/** A certificate that an issuer gives, as others see it. */
export interface CertificateSubject {
  readonly names: readonly [string, ...string[]];
  readonly issuers: readonly [Issuer, ...Issuer[]];
  readonly stored: StoredCertificate | null;
  readonly nextAttempt: number;
}

interface Parts extends RehearsalContext {
  readonly journals: Pick<JournalStore, "of">;
  readonly queue: OrderQueue;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly subjects: () => readonly CertificateSubject[];
}

interface Next extends DueRehearsal {
  readonly subject: CertificateSubject;
}

/** Rehearses when it is due, one certificate after the other, and when it is asked to. */
export class Rehearsals {
  readonly #parts: Parts;
  readonly #ending = new AbortController();
  #interval: number | null = null;
  /** No rehearsal by itself before this: after a start, and between two. */
  #notBefore: number | null = null;
  #timer: Timer | null = null;
  #turn: Promise<void> | null = null;
  /** Also those that were asked for. */
  readonly #running = new Set<Promise<unknown>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * @param interval milliseconds; null for no rehearsals but those that are asked for.
   * @param circumstances digest of what the way from a CA to the sites depends on; another one than before is a
   *   reason to rehearse.
   */
  configure(interval: number | null, circumstances: string): void {
    const { clock, random, rehearsals } = this.#parts;
    this.#interval = interval;
    rehearsals.settleIn(circumstances, clock.now());
    this.#notBefore ??= clock.now() + startDelay(random());
    this.#arm();
  }

  /**
   * One rehearsal now, whatever the schedule says.
   *
   * @throws PaddockError `certificate.no-staging`; the reason of the end where everything ends meanwhile.
   */
  async now(subject: CertificateSubject): Promise<Rehearsal> {
    const staged = stagedIssuer(subject.issuers);
    if (staged !== null) return await this.#perform(subject, staged, "command");
    const issuers = subject.issuers.map(({ name }) => name).join(" and ");
    throw new PaddockError("certificate.no-staging", `no staging directory of ${issuers} is known`, {
      fix: "Set `staging` of the issuer to the URL of its staging directory; where the CA has none, nothing can be rehearsed.",
    });
  }

  /** Resolves when none is under way, and what was noted is on disk. */
  async settled(): Promise<void> {
    await this.#turn;
    await Promise.allSettled(this.#running);
    await this.#parts.rehearsals.written();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#ending.abort(
      new PaddockError("certificate.rehearsal-ended", "the rehearsal was ended by a shutdown"),
    );
    await this.settled();
  }

  #arm(): void {
    const { clock } = this.#parts;
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#ending.signal.aborted || this.#interval === null || this.#turn !== null) return;
    // Looked at each hour at least: certificates come, and the nearness of their renewals changes.
    const wait = Math.min(HOUR, (this.#next(this.#interval)?.at ?? Infinity) - clock.now());
    const rest = (this.#notBefore ?? 0) - clock.now();
    this.#timer = clock.setTimer(Math.max(0, wait, rest), () => this.#wake());
  }

  #wake(): void {
    const interval = this.#interval;
    if (interval === null) return;
    this.#turn ??= this.#act(interval)
      // Only where everything ends; an order that failed is a result.
      .catch(() => undefined)
      .finally(() => {
        this.#turn = null;
        this.#arm();
      });
  }

  async #act(interval: number): Promise<void> {
    const { clock, rehearsals } = this.#parts;
    const next = this.#next(interval);
    if (next === null || next.at > clock.now()) return;
    // The others have their turn tomorrow: those that have waited longest come first.
    if (rehearsals.countSince(clock.now() - DAY) >= MOST_A_DAY) {
      this.#notBefore = clock.now() + HOUR;
      return;
    }
    const staged = stagedIssuer(next.subject.issuers);
    if (staged !== null) await this.#perform(next.subject, staged, next.occasion);
    this.#notBefore = clock.now() + GAP;
  }

  #next(interval: number): Next | null {
    const { clock, rehearsals, subjects } = this.#parts;
    const now = clock.now();
    let first: Next | null = null;
    for (const subject of subjects()) {
      const { names, issuers, stored, nextAttempt } = subject;
      if (stored === null || stored.notAfter <= now || stagedIssuer(issuers) === null) continue;
      const wanted = { names, issuedAt: stored.issuedAt, nextAttempt };
      const due = dueRehearsal(wanted, rehearsals.of(names), rehearsals.circumstances, { interval, now });
      if (due !== null && (first === null || due.at < first.at)) first = { ...due, subject };
    }
    return first;
  }

  async #perform(
    { names, stored, nextAttempt }: CertificateSubject,
    staged: { readonly issuer: string; readonly staging: StagingIssuer },
    occasion: RehearsalOccasion,
  ): Promise<Rehearsal> {
    const { journals, queue, log } = this.#parts;
    const { signal } = this.#ending;
    const wish = { ...staged, names, occasion, journal: journals.of(names), signal };
    // Never beside an order for the same names: both would show their challenges.
    const turn = queue.run(setKey(names), "outside", signal, () => rehearse(wish, this.#parts));
    this.#running.add(turn);
    const rehearsal = await turn.finally(() => this.#running.delete(turn));
    const { outcome, error, issuer } = rehearsal;
    const about = `the rehearsal at ${issuer} for ${names.join(", ")}`;
    const fields = { certificate: names[0], occasion };
    if (outcome === "passed")
      log.info(fields, `${about} passed: its renewal would succeed now; what was obtained is thrown away`);
    else if (outcome === "unavailable")
      log.info(fields, `${about} came to nothing, which says nothing about the site: ${error}`);
    else {
      const served = stored === null ? "" : ` What is served is valid until ${moment(stored.notAfter)};`;
      const renewal = ` The next order, at ${moment(nextAttempt)}, would fail in the same way.`;
      log.warn(
        fields,
        `${about} failed: ${error}${served}${served === "" ? renewal : renewal.replace(" The", " the")}`,
      );
    }
    return rehearsal;
  }
}
