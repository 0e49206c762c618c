import { createHash } from "node:crypto";
import { setKey } from "./file-name.ts";
import type { RehearsalOccasion } from "./journal-event.ts";
import type { Circumstances, RehearsalRecord } from "./rehearsal-records.ts";

/** When to rehearse: pure functions of time and of what is known. Milliseconds, and since the epoch. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A renewal that is nearer than this shows by itself whether it can be done. */
const IMMINENT = DAY;
/** After one that came to nothing, since the staging directory was away. */
const AWAY = 6 * HOUR;

/** What has changed is given this long, since one change often follows another; then so much more, spread. */
const SETTLING = MINUTE;
const SPREAD = 4 * MINUTE;

export interface Rehearsable {
  readonly names: readonly string[];
  /** When the stored certificate was issued. */
  readonly issuedAt: number;
  readonly nextAttempt: number;
}

export interface DueRehearsal {
  readonly at: number;
  readonly occasion: RehearsalOccasion;
}

/**
 * When the next rehearsal is due. An order that succeeded counts as one that passed. After a failure it is tried
 * again every day, so that the news of the mended site does not take a week.
 *
 * @param interval between two, 1 d or more; up to a tenth is added or taken by certificate.
 * @returns null where the renewal comes first.
 */
export function dueRehearsal(
  { names, issuedAt, nextAttempt }: Rehearsable,
  { last, triedAt }: RehearsalRecord,
  { changedAt }: Circumstances,
  { interval, now }: { interval: number; now: number },
): DueRehearsal | null {
  // A clock that was a year ahead has left times behind that never come.
  const past = (time: number | null): number => (time === null || time > now ? -Infinity : time);
  const proven = Math.max(past(last?.at ?? null), past(issuedAt));
  const part = fraction(names);
  let due: DueRehearsal;
  if (past(changedAt) > proven)
    due = { at: past(changedAt) + SETTLING + part * SPREAD, occasion: "configuration" };
  else if (last?.outcome === "failed" && past(last.at) >= past(issuedAt))
    due = { at: proven + Math.min(interval, DAY), occasion: "schedule" };
  else due = { at: proven + interval * (0.9 + part / 5), occasion: "schedule" };
  const at = Math.max(due.at, past(triedAt) > proven ? past(triedAt) + AWAY : -Infinity);
  return nextAttempt - Math.max(at, now) < IMMINENT ? null : { ...due, at };
}

/** The first rehearsals after a start: not at once, and not those of all machines of a fleet together. */
export function startDelay(random: number): number {
  return SETTLING + random * SPREAD;
}

/** From 0 to below 1, always the same for the same names: a restart does not roll again. */
function fraction(names: readonly string[]): number {
  return createHash("sha256").update(setKey(names)).digest().readUInt32BE() / 2 ** 32;
}
