import type { Clock } from "../clock.ts";
import { messageOf, PaddockError } from "../errors.ts";
import { AcmeProblem } from "./problem.ts";
import type { AcmeResponse } from "./session.ts";

/** The CA's Retry-After is honoured within these bounds (milliseconds): an order is not to hang for a day. */
const SHORTEST = 200;
const LONGEST = 30_000;
/** First wait where the CA names none; it grows by half each time. */
const FIRST = 400;
/** How many answers in a row may be missing before the order is given up. */
const TOLERATED_FAILURES = 3;

/** Resolves after `delay` milliseconds by the clock; rejects with the signal's reason when aborted. */
export function pause(delay: number, clock: Clock, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => {
    timer.cancel();
    reject(signal.reason as Error);
  };
  const timer = clock.setTimer(delay, () => {
    signal.removeEventListener("abort", onAbort);
    resolve();
  });
  signal.addEventListener("abort", onAbort, { once: true });
  return promise;
}

/**
 * Asks again and again until `done` accepts the answer (RFC 8555 §7.5.1, §7.4).
 *
 * @param first an answer that is already there, so that nothing is asked twice; null to ask at once.
 * @param patience milliseconds after which it is given up.
 * @throws PaddockError `acme.too-slow`; whatever `ask` throws, unless it is transient and passes.
 */
export async function poll(options: {
  first: AcmeResponse | null;
  ask: () => Promise<AcmeResponse>;
  done: (response: AcmeResponse) => boolean;
  what: string;
  patience: number;
  clock: Clock;
  signal: AbortSignal;
}): Promise<AcmeResponse> {
  const { clock, signal } = options;
  const deadline = clock.now() + options.patience;
  let response = options.first;
  let wait = FIRST;
  let failures = 0;
  let asked = response?.retryAfter ?? null;
  while (response === null || !options.done(response)) {
    if (response !== null || failures > 0) {
      const delay = Math.min(Math.max(asked ?? wait, SHORTEST), LONGEST);
      wait = Math.min(wait * 1.5, 10_000);
      if (clock.now() + delay > deadline) throw tooSlow(options.what, options.patience);
      await pause(delay, clock, signal);
    }
    try {
      response = await options.ask();
      asked = response.retryAfter;
      failures = 0;
    } catch (error) {
      failures += 1;
      if (signal.aborted || !passes(error) || failures > TOLERATED_FAILURES) throw error;
      asked = error instanceof AcmeProblem ? error.retryAfter : null;
    }
  }
  return response;
}

/** A connection that broke or a CA that is busy says nothing about the order. */
function passes(error: unknown): boolean {
  if (error instanceof AcmeProblem) return error.transient;
  return error instanceof PaddockError && ["acme.unreachable", "acme.timeout"].includes(error.code);
}

function tooSlow(what: string, patience: number): PaddockError {
  return new PaddockError(
    "acme.too-slow",
    `${messageOf(what)} was not decided within ${patience / 60_000} minutes`,
    {
      fix: "The CA is slow; the attempt is repeated.",
    },
  );
}
