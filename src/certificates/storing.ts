import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logging/logger.ts";
import { sentenceOf } from "./sentences.ts";

/** How long a disk that took nothing is left alone. Milliseconds. */
const RETRY = 5 * 60_000;

interface Unstored {
  /** For sentences: `the new certificate for example.org`. */
  readonly title: string;
  readonly write: () => Promise<void>;
}

/**
 * What is in force and has to be on disk as well. A disk that takes it is waited for, in the background: neither a full
 * one nor a read-only one is a reason not to serve what a CA gave.
 */
export class Storing {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #unstored = new Map<string, Unstored>();
  /** One writing after the other, so that an older one never overtakes a newer. */
  #writing: Promise<void> = Promise.resolve();
  #timer: Timer | null = null;
  #closed = false;

  constructor({ clock, log }: { clock: Clock; log: Logger }) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Resolves when the first try is over, whether it was stored or will be tried again. Never rejects.
   *
   * @param key what a later call with the same key takes the place of.
   */
  async keep(key: string, title: string, write: () => Promise<void>): Promise<void> {
    const unstored = { title, write };
    this.#unstored.set(key, unstored);
    await this.#inTurn(() => this.#store(key, unstored));
  }

  /** One more try; what the disk does not take now is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#storeAll();
  }

  async #storeAll(): Promise<void> {
    for (const [key, unstored] of this.#unstored)
      await this.#inTurn(async () => {
        if (this.#unstored.get(key) === unstored) await this.#store(key, unstored, true);
      });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.then(work);
    return this.#writing;
  }

  async #store(key: string, unstored: Unstored, again = false): Promise<void> {
    const { title, write } = unstored;
    try {
      await write();
      if (this.#unstored.get(key) === unstored) this.#unstored.delete(key);
      if (again) this.#log.info(`${title} is stored now`);
    } catch (error) {
      const next = "It is used all the same, and storing it is tried every five minutes.";
      if (!again) this.#log.error({ err: error }, `${title} is not stored: ${sentenceOf(error)} ${next}`);
      this.#arm();
    }
  }

  #arm(): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = this.#clock.setTimer(RETRY, () => {
      this.#timer = null;
      void this.#storeAll();
    });
  }
}
