import { PaddockError } from "../../errors.ts";

/** An order that the guard did not let begin: nobody was asked, and nothing was spent. */
export class HeldBack extends PaddockError {
  /** Milliseconds since the epoch, from when it may be; null where somebody has to do something first. */
  readonly until: number | null;
  /** Milliseconds from now, as the issuers' errors have it. */
  readonly retryAfter: number | null;

  constructor(message: string, options: { until: number | null; now: number; fix: string }) {
    super("certificate.held-back", message, { fix: options.fix });
    this.until = options.until;
    this.retryAfter = options.until === null ? null : Math.max(0, options.until - options.now);
  }
}

/**
 * When an attempt may be made of which every part was held back; null where a part was made, or where a part waits for
 * somebody to act, so that there is something to repeat.
 */
export function heldUntil(failures: readonly unknown[]): number | null {
  const moments = failures.map((error) => (error instanceof HeldBack ? error.until : null));
  const known = moments.filter((moment) => moment !== null);
  return known.length === failures.length && known.length > 0 ? Math.min(...known) : null;
}

/** Why none of the issuers may be asked, as the one says that may be asked first; null where one may be now. */
export function allHeldBack(refusals: readonly (HeldBack | null)[]): HeldBack | null {
  const held = refusals.filter((refusal) => refusal !== null);
  if (held.length < refusals.length) return null;
  const moment = ({ until }: HeldBack): number => until ?? Infinity;
  return held.toSorted((a, b) => moment(a) - moment(b))[0] ?? null;
}
