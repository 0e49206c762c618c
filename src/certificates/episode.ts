import type { JournalEntry, NoticeReason } from "./journal-event.ts";

/** A notice that is to be delivered; kept until it is, or until it was tried too often. */
export interface PendingNotice {
  readonly reason: NoticeReason;
  readonly at: number;
  /** Rounds that were begun. */
  readonly tries: number;
  /** Channels that have it. */
  readonly sent: readonly string[];
}

/**
 * The trouble that a certificate is in, and who was told: from the first failure, or from when less than a
 * quarter of its life is left, until a new one is there. It is kept in the journal, so that a daemon which ends
 * and starts again, a hundred times if it must, tells it once.
 */
export interface Episode {
  /** Attempts in a row that failed, over restarts. */
  readonly failures: number;
  /** Of the first of them. */
  readonly since: number | null;
  readonly error: string | null;
  /** The certificate of whose life less than a quarter is left. */
  readonly ending: { readonly fingerprint: string; readonly notAfter: number } | null;
  /** The rehearsal that failed, until one passes. */
  readonly rehearsal: { readonly since: number; readonly error: string } | null;
  readonly told: readonly NoticeReason[];
  readonly outbox: readonly PendingNotice[];
}

export const NO_TROUBLE: Episode = {
  failures: 0,
  since: null,
  error: null,
  ending: null,
  rehearsal: null,
  told: [],
  outbox: [],
};

const IN_A_ROW = 3;
const MOST_TRIES = 3;

/** What an entry makes of the episode. */
export function advance(episode: Episode, entry: JournalEntry): Episode {
  switch (entry.kind) {
    case "attempt-failed":
      return {
        ...episode,
        failures: episode.failures + 1,
        since: episode.since ?? entry.at,
        error: entry.error,
      };
    case "ending":
      return { ...episode, ending: { fingerprint: entry.fingerprint, notAfter: entry.notAfter } };
    case "order-finished":
      return recovered(episode, entry.at);
    case "rehearsal":
      return rehearsed(episode, entry);
    case "served": {
      // A certificate from files has no orders: another one that is served is its renewal.
      const { ending } = episode;
      const [first] = entry.certificates;
      if (ending === null || first === undefined || first.origin !== "stored") return episode;
      return first.fingerprint === ending.fingerprint ? episode : recovered(episode, entry.at);
    }
    default:
      return episode;
  }
}

/**
 * Whoever heard of the trouble hears of its end; what nobody has heard of yet is dropped. A rehearsal that failed is a
 * trouble of its own, since an order may pass by what the CA still holds.
 */
function recovered(episode: Episode, at: number): Episode {
  const ofRehearsal = (reason: NoticeReason): boolean => reason.startsWith("rehearsal-");
  const kept = episode.outbox.filter(({ reason }) => ofRehearsal(reason));
  const heard = heardOf(episode).some((reason) => !ofRehearsal(reason));
  const outbox: PendingNotice[] = heard ? [{ reason: "recovered", at, tries: 0, sent: [] }] : [];
  const { rehearsal, told } = episode;
  return { ...NO_TROUBLE, rehearsal, told: told.filter(ofRehearsal), outbox: [...kept, ...outbox] };
}

/** Of one before an order nobody is told: who follows the orders hears of those. */
function rehearsed(episode: Episode, entry: Extract<JournalEntry, { kind: "rehearsal" }>): Episode {
  const { outcome, occasion, error, at } = entry;
  if (outcome === "failed")
    return occasion === "failure"
      ? episode
      : { ...episode, rehearsal: { since: episode.rehearsal?.since ?? at, error: error ?? "" } };
  if (outcome === "unavailable" || episode.rehearsal === null) return episode;
  const heard = heardOf(episode).includes("rehearsal-failed");
  const outbox = episode.outbox.filter(({ reason }) => reason !== "rehearsal-failed");
  return {
    ...episode,
    rehearsal: null,
    told: episode.told.filter((reason) => reason !== "rehearsal-failed"),
    outbox: heard ? [...outbox, { reason: "rehearsal-recovered", at, tries: 0, sent: [] }] : outbox,
  };
}

/** What somebody was told of, and not only was to be. */
function heardOf({ told, outbox }: Episode): NoticeReason[] {
  const unsaid = outbox.filter(({ sent }) => sent.length === 0).map(({ reason }) => reason);
  return told.filter((reason) => !unsaid.includes(reason));
}

/** Puts into the outbox what is to be told now: the gravest that was not told in this episode. */
export function tell(episode: Episode, at: number): Episode {
  const due = dueReasons(episode).filter((reason) => !episode.told.includes(reason));
  const [gravest] = due;
  if (gravest === undefined) return episode;
  return {
    ...episode,
    told: [...episode.told, ...due],
    outbox: [...episode.outbox, { reason: gravest, at, tries: 0, sent: [] }],
  };
}

/** The gravest first. */
function dueReasons({ failures, ending, rehearsal }: Episode): NoticeReason[] {
  const due: NoticeReason[] = [];
  if (ending !== null) due.push("ending");
  if (failures >= IN_A_ROW) due.push("failing-repeatedly");
  if (failures >= 1) due.push("failing");
  // Where orders fail, they are the news.
  if (rehearsal !== null && due.length === 0) due.push("rehearsal-failed");
  return due;
}

/** Counts a round of delivery before it begins. */
export function begin(episode: Episode, reason: NoticeReason): Episode {
  const outbox = episode.outbox.map((notice) =>
    notice.reason === reason ? { ...notice, tries: notice.tries + 1 } : notice,
  );
  return { ...episode, outbox };
}

/** One channel has it. */
export function reached(episode: Episode, reason: NoticeReason, channel: string): Episode {
  const outbox = episode.outbox.map((notice) =>
    notice.reason === reason ? { ...notice, sent: [...notice.sent, channel] } : notice,
  );
  return { ...episode, outbox };
}

/** Takes the end of a round: what every channel has, or what was tried often enough, leaves the outbox. */
export function settle(episode: Episode, reason: NoticeReason, complete: boolean): Episode {
  const outbox = episode.outbox.filter(
    (notice) => notice.reason !== reason || (!complete && notice.tries < MOST_TRIES),
  );
  return { ...episode, outbox };
}

/** Those of the outbox that may be tried once more. */
export function deliverable({ outbox }: Episode): readonly PendingNotice[] {
  return outbox.filter(({ tries }) => tries < MOST_TRIES);
}
