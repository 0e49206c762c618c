import type { Logger } from "../logging/logger.ts";
import { moment } from "./sentences.ts";
import type { CertificateStatus } from "./status.ts";

/** With more certificates than these, what was found for each is not a line of its own in the log. */
export const MOST_TOLD = 50;

/** One line over what a start found, where there is too much for a line each. */
export function sayFound(opened: readonly { status(): CertificateStatus }[], log: Logger): void {
  const found = opened.map((job) => job.status()).filter(({ state }) => state === "valid");
  const first = Math.min(...found.map(({ notAfter }) => notAfter ?? Infinity));
  log.info(
    { certificates: found.length },
    `${found.length} of ${opened.length} certificates found in the storage or in their files` +
      (found.length === 0 ? "" : `; the first of them ends at ${moment(first)}`),
  );
}
