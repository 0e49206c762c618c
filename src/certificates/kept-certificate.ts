import type { CertificatePair } from "./certificate-pair.ts";
import { retryAfterOf, type RenewalWindow } from "./issuer.ts";
import type { RehearsalRecords } from "./rehearsal-records.ts";
import { renewalTime, retryDelay, shortestInterval, timeInWindow } from "./renewal-schedule.ts";
import { moment, sentenceOf } from "./sentences.ts";
import { serve, serveWithout } from "./served.ts";
import type { CertificateState, CertificateStatus, ServedCertificate } from "./status.ts";
import type { StoredCertificate } from "./store.ts";

/**
 * What is known of one certificate, and what follows from it: what to serve, what to do next and when. It does
 * nothing itself; `CertificateJob` acts on it. `now` is milliseconds since the epoch throughout.
 */
export class KeptCertificate {
  readonly names: readonly [string, ...string[]];
  state: CertificateState = "waiting";
  stored: StoredCertificate | null = null;
  /** From the embedded CA, for the time without a stored one. */
  temporary: CertificatePair | null = null;
  /** Valid certificates of other sets of names, which may cover some of ours; the one that lasts longest first. */
  standIns: readonly StoredCertificate[] = [];
  nextAttempt: number;
  nextRenewalInfo = Infinity;
  failures = 0;
  /** The operator asked for the next attempt. */
  wished = false;
  /** The last attempt was not made, since the guard held it back. */
  heldBack = false;
  /** Of the look before the first order. */
  warnings: readonly string[] = [];
  readonly onWarnings = (warnings: readonly string[]): void => void (this.warnings = warnings);
  lastError: { readonly error: unknown; readonly at: number } | null = null;

  constructor(names: readonly [string, ...string[]], now: number) {
    this.names = names;
    this.nextAttempt = now;
  }

  /** For sentences. */
  get title(): string {
    return this.names.join(", ");
  }

  /** The stored one, unless it has ended. */
  valid(now: number): StoredCertificate | null {
    return this.stored !== null && this.stored.notAfter > now ? this.stored : null;
  }

  /** Takes a certificate from the store or from an issuer. */
  adopt(stored: StoredCertificate, random: number): void {
    this.stored = stored;
    this.temporary = null;
    this.standIns = [];
    this.failures = 0;
    this.wished = false;
    this.heldBack = false;
    this.warnings = [];
    this.lastError = null;
    this.nextAttempt = dueTime(stored, random);
  }

  /** The operator wants an attempt now. */
  wish(now: number): void {
    this.wished = true;
    this.nextAttempt = now;
    // Else the issuer's wish would move the attempt away again.
    this.nextRenewalInfo = Infinity;
  }

  /** Takes note of a failed attempt. */
  fail(error: unknown, now: number, random: number): void {
    this.failures += 1;
    this.wished = false;
    this.heldBack = false;
    this.lastError = { error, at: now };
    const left = this.stored === null ? Infinity : this.stored.notAfter - now;
    this.nextAttempt = now + retryDelay(this.failures, retryAfterOf(error), random, left);
  }

  /** Takes note of an attempt that must not be made before `until`: it is no failure, and the time is exact. */
  hold(error: unknown, until: number, now: number): void {
    this.heldBack = true;
    this.lastError = { error, at: now };
    this.nextAttempt = until;
  }

  /**
   * Takes the issuer's wish (RFC 9773 §4.2). The moment is chosen once for each window; after a failure the
   * retries go on as they are.
   *
   * @returns whether this is a window that was not known before.
   */
  follow(window: RenewalWindow, random: number): boolean {
    const { start, end } = window;
    const { stored } = this;
    if (stored === null || (stored.renewal?.start === start && stored.renewal.end === end)) return false;
    this.stored = { ...stored, renewal: { start, end, at: timeInWindow(window, stored, random) } };
    const due = dueTime(this.stored, random);
    // A wish of the CA's is not held back.
    if (this.heldBack) this.nextAttempt = Math.min(this.nextAttempt, due);
    else if (this.failures === 0) this.nextAttempt = due;
    return true;
  }

  /**
   * The clock was set, `by` milliseconds ahead: the wait after a failure is as long as it was, and a renewal that is not
   * due by the clock as it is now is not tried again, whatever went wrong before.
   */
  replan(by: number, now: number, random: number): void {
    this.nextRenewalInfo += by;
    const { stored } = this;
    const due = stored === null ? now : dueTime(stored, random);
    if (this.failures > 0 && due <= now) this.nextAttempt += by;
    else {
      this.nextAttempt = due;
      this.failures = 0;
      this.lastError = null;
    }
  }

  needsTemporary(now: number): boolean {
    const { stored, temporary } = this;
    return stored === null && (temporary === null || temporary.notBefore > now || halfTime(temporary) <= now);
  }

  /** When there is something to do, or something else to serve. */
  nextEvent(now: number): number {
    const served = this.stored === null ? this.standIns : [...this.standIns, this.stored];
    const ends = served.map(({ notAfter }) => notAfter).filter((end) => end > now);
    const refresh = this.temporary === null ? Infinity : halfTime(this.temporary);
    return Math.min(this.nextAttempt, this.nextRenewalInfo, refresh, ...ends);
  }

  /**
   * One that has ended is served on where nothing better covers a name. Who looks at the date refuses the temporary one
   * as well, since the embedded CA is not known to him; who does not, goes on; and where it is our clock that is wrong,
   * it has not ended at all.
   */
  served(now: number): ServedCertificate[] {
    const { stored, names, standIns, temporary } = this;
    if (this.valid(now) !== null && stored !== null) return [serve(stored, names, stored.issuer, "stored")];
    const last = stored === null ? temporary : stored;
    const [issuer, origin] =
      stored === null ? (["local", "temporary"] as const) : ([stored.issuer, "stored"] as const);
    return serveWithout(names, standIns, now, (open) =>
      last === null ? [] : [serve(last, open, issuer, origin)],
    );
  }

  /** Why the next attempt is when it is, as a clause. */
  get why(): string {
    const { stored, failures } = this;
    if (this.heldBack) return "the issuance guard holds it back until then";
    if (failures > 0)
      return failures === 1 ? "the last attempt failed" : `the last ${failures} attempts failed`;
    if (stored === null) return "the first order";
    return stored.renewal === null ? "renewal by its lifetime" : "renewal as the CA wishes (ARI)";
  }

  /** Why an order on demand was not made, as a clause. */
  get notWanted(): string {
    return `nothing is ordered for ${this.title}: the app did not say yes, or it has not been used for long`;
  }

  /** What is served while an attempt fails or is awaited, as a clause. */
  meanwhile(now: number): string {
    const { stored } = this;
    if (this.valid(now) !== null && stored !== null)
      return `the old one is served, which is valid until ${moment(stored.notAfter)}`;
    const standIns = this.served(now).filter((one) => this.#isStandIn(one));
    const covered = standIns.flatMap(({ names }) => names).join(", ");
    const temporary =
      stored === null
        ? "a temporary one of the embedded CA is served, which browsers do not trust"
        : `the old one is served on, which ended at ${moment(stored.notAfter)}`;
    if (standIns.length === 0 && this.temporary === null && stored === null)
      return "nothing is served for it";
    return covered === ""
      ? temporary
      : `an older one is served for ${covered}, and for the rest ${temporary}`;
  }

  status(issuerName: string, rehearsals: RehearsalRecords): CertificateStatus {
    const { stored, lastError: last } = this;
    return {
      name: this.names[0],
      names: this.names,
      issuer: stored?.issuer ?? issuerName,
      state: this.state,
      waitingFor: this.#waitingFor(issuerName),
      notBefore: stored?.notBefore ?? null,
      notAfter: stored?.notAfter ?? null,
      issuedAt: stored?.issuedAt ?? null,
      fingerprint: stored?.fingerprint ?? null,
      nextAttempt: this.nextAttempt,
      nextReason: this.why,
      failures: this.failures,
      lastError: last === null ? null : { message: sentenceOf(last.error), at: last.at },
      warnings: this.warnings,
      serving: stored === null ? "temporary" : "stored",
      rehearsal: rehearsals.of(this.names).last,
    };
  }

  #isStandIn({ fingerprint }: ServedCertificate): boolean {
    return this.standIns.some((standIn) => standIn.fingerprint === fingerprint);
  }

  #waitingFor(issuerName: string): string | null {
    switch (this.state) {
      case "valid":
        return null;
      case "waiting":
        return `its turn to be ordered from ${issuerName}`;
      case "issuing":
      case "renewing":
        return `${issuerName} to validate the names and to issue the certificate`;
      case "failing":
        return `the next attempt at ${moment(this.nextAttempt)}; ${this.lastError === null ? "the certificate has ended" : sentenceOf(this.lastError.error)}`;
    }
  }
}

/** When its renewal is due. */
export function dueTime(stored: StoredCertificate, random: number): number {
  const wanted = stored.renewal === null ? renewalTime(stored, random) : stored.renewal.at;
  return Math.max(wanted, stored.issuedAt + shortestInterval(stored));
}

/** A temporary certificate is replaced by the next one with half of its lifetime left. */
function halfTime(pair: CertificatePair): number {
  return (pair.notBefore + pair.notAfter) / 2;
}
