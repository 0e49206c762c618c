import type { Episode } from "./episode.ts";
import type { NoticeReason } from "./journal-event.ts";

/** Something that an operator has to know about one certificate. */
export interface Notice {
  readonly reason: NoticeReason;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly names: readonly string[];
  readonly episode: Episode;
  /** Channels that have it already, from a round before. */
  readonly sent: readonly string[];
  /** To be awaited right before anything is sent: a daemon that dies in the middle of it has had this round. */
  readonly begin: () => Promise<void>;
  /** To be called as soon as a channel has it, or has given up. */
  readonly took: (delivery: Delivery) => void;
}

/** How one channel took it; `error` is null where it did. */
export interface Delivery {
  readonly channel: string;
  readonly error: string | null;
}

/**
 * Who tells the operator: the supervisor has a webhook and a mail command.
 *
 * `notify` MUST NOT reject. It resolves when each channel that did not have it has it or has given up; that may
 * take an hour, where there is so much to tell that it is gathered.
 */
export interface Notifier {
  notify(notice: Notice): Promise<void>;
}
