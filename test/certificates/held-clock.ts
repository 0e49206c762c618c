import type { Clock, Timer } from "../../src/clock.ts";

/** A clock that stands still until a test moves it. */
export class HeldClock implements Clock {
  #now: number;
  readonly #timers = new Set<{ at: number; readonly callback: () => void }>();

  constructor(now = Date.now()) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  setTimer(delay: number, callback: () => void): Timer {
    const timer = { at: this.#now + delay, callback };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  /** When the next timer fires, milliseconds since the epoch; infinite where there is none. */
  get next(): number {
    return Math.min(Infinity, ...[...this.#timers].map(({ at }) => at));
  }

  /** Jumps, back too where `by` is negative, as a clock that is set does: timers are as far away as they were. */
  jump(by: number): void {
    this.#now += by;
    for (const timer of this.#timers) timer.at += by;
  }

  /** Moves on by `delay`, firing each timer at its time; `settle` is awaited after each. */
  async advance(delay: number, settle: () => Promise<void>): Promise<void> {
    const end = this.#now + delay;
    await settle();
    for (;;) {
      const due = [...this.#timers].sort((a, b) => a.at - b.at).find(({ at }) => at <= end);
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
      await settle();
    }
    this.#now = end;
  }
}
