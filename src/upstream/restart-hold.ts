/** How often one of the held requests looks whether the app is back, milliseconds. */
const LOOK_INTERVAL = 100;

/** A request whose app is not there; nothing of it has been read by anyone. */
export interface Held {
  /** The app may be back: try again. A request that fails once more is held once more. */
  retry(): void;
  giveUp(): void;
}

/**
 * Holds requests while the app restarts. One of them tries again every tenth of a second, the others wait for its
 * success: an app that has just begun to listen is not met by a thousand connections that all find it gone.
 */
export class RestartHold {
  readonly #held = new Set<Held>();
  readonly #until: () => number;
  #timer: NodeJS.Timeout | null = null;

  /** `until`: when holding ends, milliseconds since the epoch. */
  constructor(until: () => number) {
    this.#until = until;
  }

  get size(): number {
    return this.#held.size;
  }

  /** False when the app has been gone for too long; the request is not held then. */
  hold(held: Held): boolean {
    if (Date.now() >= this.#until()) return false;
    this.#held.add(held);
    this.#timer ??= setInterval(() => this.#look(), LOOK_INTERVAL);
    return true;
  }

  /** The client of a held request has gone. */
  cancel(held: Held): void {
    this.#held.delete(held);
    this.#stopIfEmpty();
  }

  /** The app is back. */
  release(): void {
    const all = [...this.#held];
    this.#held.clear();
    this.#stopIfEmpty();
    for (const held of all) held.retry();
  }

  #look(): void {
    const over = Date.now() >= this.#until();
    for (const held of this.#held) {
      this.#held.delete(held);
      if (over) held.giveUp();
      else {
        held.retry();
        break;
      }
    }
    this.#stopIfEmpty();
  }

  #stopIfEmpty(): void {
    if (this.#held.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
