import type { AttemptContext } from "./attempt.ts";
import type { Issuer } from "./issuer.ts";
import type { JournalStore } from "./journal-store.ts";
import type { OrderQueue } from "./order-queue.ts";

/** What all jobs share. */
export interface JobContext extends AttemptContext {
  readonly local: Issuer;
  readonly journals: JournalStore;
  readonly queue: OrderQueue;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Milliseconds to wait with what all certificates ask their CA for at the start, so that it is not at once. */
  readonly spread: () => number;
  /** Whether the last set did not reach the workers. */
  readonly isUnsent: () => boolean;
  /** Sends the whole set of served certificates if it changed; resolves once that is done. Never rejects. */
  readonly publish: () => Promise<void>;
}
