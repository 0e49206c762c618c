import type { Clock, Timer } from "../clock.ts";
import type { JournalStore } from "./journal-store.ts";
import type { CertificateStatus } from "./status.ts";

const HOUR = 3_600_000;

/**
 * Looks every hour for certificates of whose life less than a quarter is left, the operator's own among them, and
 * takes that down; who is told follows from the journal. One look over all of them: a quarter of the shortest
 * lifetime that is issued, six days, is more than a day.
 */
export function watchEnding(
  statuses: () => readonly CertificateStatus[],
  journals: JournalStore,
  clock: Clock,
): { close(): void } {
  let timer: Timer;
  const look = (): void => {
    const now = clock.now();
    for (const { names, notBefore, notAfter, fingerprint } of statuses()) {
      if (notBefore === null || notAfter === null || fingerprint === null) continue;
      if (notAfter - now < (notAfter - notBefore) / 4)
        journals.of(names).record({ kind: "ending", fingerprint, notAfter });
    }
    journals.retry();
    timer = clock.setTimer(HOUR, look);
  };
  timer = clock.setTimer(HOUR, look);
  return { close: () => timer.cancel() };
}
