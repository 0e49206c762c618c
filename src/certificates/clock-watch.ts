import type { Clock, Timer } from "../clock.ts";
import type { Logger } from "../logging/logger.ts";
import { moment } from "./sentences.ts";

const MINUTE = 60_000;

/** A timer that is late by less is only late. Milliseconds. */
const TOLERANCE = 30_000;

/**
 * Notices within a minute that the clock was set, or that the machine slept. Timers count what passes, not dates: one
 * that was set while the clock was a year behind would fire a year late.
 *
 * @param onJump called with the milliseconds that the clock went ahead, negative for back.
 */
export function watchClock(
  { clock, log, clockInterval = MINUTE }: { clock: Clock; log: Logger; clockInterval?: number },
  onJump: (by: number) => void,
): { close(): void } {
  let timer: Timer;
  const look = (): void => {
    const expected = clock.now() + clockInterval;
    timer = clock.setTimer(clockInterval, () => {
      const by = clock.now() - expected;
      look();
      if (Math.abs(by) <= TOLERANCE) return;
      const set = `the clock went ${spanText(by)} ${by > 0 ? "ahead" : "back"}, to ${moment(clock.now())}`;
      log.warn({ byMilliseconds: by }, `${set}; what was planned by it is planned anew`);
      onJump(by);
    });
  };
  look();
  return { close: () => timer.cancel() };
}

/** For sentences: `3 days`, `5 hours`, `2 minutes`. */
export function spanText(milliseconds: number): string {
  const minutes = Math.max(1, Math.round(Math.abs(milliseconds) / MINUTE));
  const [count, unit] =
    minutes < 120
      ? [minutes, "minute"]
      : minutes < 2880
        ? [Math.round(minutes / 60), "hour"]
        : [Math.round(minutes / 1440), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
