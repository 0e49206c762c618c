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
  readonly told: readonly NoticeReason[];
  readonly outbox: readonly PendingNotice[];
}

export const NO_TROUBLE: Episode = {
  failures: 0,
  since: null,
  error: null,
  ending: null,
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

/** Whoever heard of the trouble hears of its end; what nobody has heard of yet is dropped. */
function recovered(episode: Episode, at: number): Episode {
  const unsaid = episode.outbox.filter(({ sent }) => sent.length === 0).map(({ reason }) => reason);
  const heard = episode.told.some((reason) => !unsaid.includes(reason));
  const outbox: PendingNotice[] = heard ? [{ reason: "recovered", at, tries: 0, sent: [] }] : [];
  return { ...NO_TROUBLE, outbox };
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
function dueReasons({ failures, ending }: Episode): NoticeReason[] {
  const due: NoticeReason[] = [];
  if (ending !== null) due.push("ending");
  if (failures >= IN_A_ROW) due.push("failing-repeatedly");
  if (failures >= 1) due.push("failing");
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
