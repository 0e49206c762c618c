/** Time as the program sees it, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once after `delay` milliseconds. MUST NOT keep the process alive, MUST accept any delay. */
  setTimer(delay: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Node's timers fire at once beyond 2^31-1 ms (24.8 days), so longer waits are made of several. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(delay, callback) {
    let handle: NodeJS.Timeout;
    const arm = (remaining: number): void => {
      const step = Math.min(remaining, LONGEST_TIMER);
      handle = setTimeout(() => (step < remaining ? arm(remaining - step) : callback()), step);
      handle.unref();
    };
    arm(Math.max(0, delay));
    return { cancel: () => clearTimeout(handle) };
  },
};
