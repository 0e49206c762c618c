import type { Logger } from "../logging/logger.ts";
import type { KeptCertificate } from "./kept-certificate.ts";
import { moment, sentenceOf } from "./sentences.ts";
import type { CertificateState } from "./status.ts";

/** What a job says of its certificate: each change of state is one line of the log. */
export class JobVoice {
  readonly #kept: KeptCertificate;
  readonly #log: Logger;
  /** Fingerprint of the certificate whose end was said. */
  #endSaid: string | null = null;

  constructor(kept: KeptCertificate, log: Logger) {
    this.#kept = kept;
    this.#log = log;
  }

  say(
    state: CertificateState,
    level: "info" | "warn" | "error",
    sentence: string,
    fields: object = {},
  ): void {
    this.#kept.state = state;
    this.#log[level]({ ...fields, state }, sentence);
  }

  sayWaiting(now: number): void {
    const { title } = this.#kept;
    this.say(
      "waiting",
      "info",
      `no certificate for ${title} yet: ${this.#kept.meanwhile(now)}, until one is issued`,
    );
  }

  /** `isOurs`: not of a name that somebody else may not have pointed here yet. */
  sayFailure(error: unknown, now: number, isOurs: boolean): void {
    const { title, nextAttempt, failures } = this.#kept;
    const next = `Next attempt at ${moment(nextAttempt)}; ${this.#kept.meanwhile(now)}.`;
    const level = isOurs && this.#kept.valid(now) === null ? "error" : "warn";
    const sentence = `no new certificate for ${title} from ${sentenceOf(error)} ${next}`;
    this.say("failing", level, sentence, { err: error, failures });
  }

  /** `swapMilliseconds`: from stored until every worker had said that it serves it. */
  sayValid(how: string, swap: { swapMilliseconds?: number } = {}): void {
    const { stored, title, nextAttempt } = this.#kept;
    if (stored === null) return;
    this.#endSaid = null;
    const sentence = `certificate of ${stored.issuer} for ${title} ${how}, valid until ${moment(stored.notAfter)}`;
    const fields = { fingerprint: stored.fingerprint, ...swap };
    this.say("valid", "info", `${sentence}; the next renewal is at ${moment(nextAttempt)}`, fields);
  }

  /** Where it has ended; once for each. */
  sayEnd(now: number): void {
    const { stored, title } = this.#kept;
    if (stored === null || stored.notAfter > now || this.#endSaid === stored.fingerprint) return;
    this.#endSaid = stored.fingerprint;
    const clock = `by the clock of this machine, which says ${moment(now)}`;
    const ended = `the certificate for ${title} ended at ${moment(stored.notAfter)}, ${clock}`;
    this.say("failing", "error", `${ended}; ${this.#kept.meanwhile(now)}`);
  }
}
