import type { Logger } from "../logging/logger.ts";
import type { BackendChange } from "../upstream/upstream.ts";

/** Says once that an address of an app has gone or is back, and why. */
export function logBackendChange(log: Logger, { upstream, backend, state, cause }: BackendChange): void {
  const well = state === "up" || state === "healthy";
  const line = cause === "" ? { upstream, backend, state } : { upstream, backend, state, cause };
  log[well ? "info" : "warn"](line, `the app is ${state}`);
}
