import type { Clock } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { spanText } from "./clock-watch.ts";
import { dueTime } from "./kept-certificate.ts";
import { moment } from "./sentences.ts";
import type { StoredCertificate } from "./store.ts";

/** Below it nobody has to be told: logs and schedules bear it. Milliseconds. */
const NOTABLE = 5 * 60_000;
/** From here on a certificate may look due that is not, or ended that is good. Milliseconds. */
const GRAVE = 24 * 3_600_000;

const FIX = "Set the clock, and check that it is kept by NTP: `timedatectl` says so.";

/** By how much this machine's clock and a CA's differ. */
export interface ClockDifference {
  readonly issuer: string;
  /** Milliseconds that ours is ahead of the CA's; negative where it is behind. */
  readonly ahead: number;
  /** When the CA said so, by our clock. */
  readonly at: number;
}

/** What the CAs' clocks say about ours; each answer of theirs carries one. */
export class ClockDoubt {
  readonly #clock: Clock;
  readonly #log: Logger;
  #difference: ClockDifference | null = null;

  constructor({ clock, log }: { clock: Clock; log: Logger }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Null where the last CA that was heard agrees. */
  get difference(): ClockDifference | null {
    return this.#difference;
  }

  /** Takes note of a CA's time. Each change is one line of the log. */
  hear(issuer: string, time: number): void {
    const at = this.#clock.now();
    const ahead = at - time;
    const before = this.#difference;
    this.#difference = Math.abs(ahead) < NOTABLE ? null : { issuer, ahead, at };
    if (this.#difference !== null && (before === null || Math.abs(before.ahead - ahead) > NOTABLE))
      this.#log.error({ issuer, aheadMilliseconds: ahead }, `${this.#sentence(issuer, time)} ${FIX}`);
    if (this.#difference === null && before !== null)
      this.#log.info({ issuer }, `the clock of this machine and that of ${issuer} agree again`);
  }

  /** Our time, or the CA's where ours is wrong by so much that it must not decide over a certificate. */
  better(time: number | null): number {
    const now = this.#clock.now();
    return time !== null && Math.abs(now - time) > GRAVE ? time : now;
  }

  /** What was heard before the clock was set says nothing any more. */
  forget(): void {
    this.#difference = null;
  }

  /**
   * Before an order. One that is due by our clock alone is not made: it would be repeated for as long as the clock is
   * wrong, until the CA's limit. One that is due by the CA's clock too is made, since the certificate would end.
   *
   * @throws PaddockError `certificate.clock-wrong`
   */
  refuseUntimely(issuer: string, stored: StoredCertificate | null, time: number): void {
    if (stored === null || this.better(time) !== time) return;
    const due = dueTime(stored, 0);
    if (due > this.#clock.now() || due <= time) return;
    const sentence = `${this.#sentence(issuer, time)} By the CA's clock nothing is due before ${moment(due)}, so nothing is ordered.`;
    throw new PaddockError("certificate.clock-wrong", sentence, { fix: FIX });
  }

  #sentence(issuer: string, time: number): string {
    const ahead = this.#clock.now() - time;
    const difference = `${spanText(ahead)} ${ahead > 0 ? "ahead of" : "behind"}`;
    return `the clock of this machine says ${moment(this.#clock.now())}, which is ${difference} the clock of ${issuer}.`;
  }
}
