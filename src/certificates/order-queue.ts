/** Let's Encrypt allows 300 new orders in three hours and a machine has one board: a few at once are enough. */
const AT_ONCE = 4;

/**
 * `outside`: at a CA. `awaited`: there too, while a handshake waits, so it is not to stand behind the renewals of
 * thousands. `local`: at the embedded CA; it takes a millisecond, and must not wait for a slow CA's.
 */
export type OrderLane = "outside" | "awaited" | "local";

/** A few orders at a time; the others wait for their turn. */
class Slots {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  async run<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      signal.throwIfAborted();
      return await task();
    } finally {
      // The slot is handed on, not given back, so that nobody can slip in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

/**
 * Who may order now: never two orders for the same names, and only a few at all. A queue over all jobs, since a
 * reload replaces a job while its order may still be ending.
 */
export class OrderQueue {
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #slots = { outside: new Slots(), awaited: new Slots() };

  /** Runs `task` in its turn. A task whose signal is aborted before its turn is not run. */
  async run<T>(key: string, lane: OrderLane, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const turn = before.then(() => {
      signal.throwIfAborted();
      return lane === "local" ? task() : this.#slots[lane].run(signal, task);
    });
    const tail = turn.catch(() => {});
    this.#tails.set(key, tail);
    try {
      return await turn;
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }
}
