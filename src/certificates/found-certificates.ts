import type { Logger } from "../logging/logger.ts";
import { moment } from "./sentences.ts";
import type { CertificateStatus } from "./status.ts";

/** One line of the log for very many certificates that a start has found, in place of one for each. */
export function sayFound(opened: readonly CertificateStatus[], log: Logger): void {
  const found = opened.filter(({ state }) => state === "valid");
  const first = Math.min(...found.map(({ notAfter }) => notAfter ?? Infinity));
  log.info(
    { certificates: found.length },
    `${found.length} of ${opened.length} certificates found in the storage or in their files` +
      (found.length === 0 ? "" : `; the first of them ends at ${moment(first)}`),
  );
}
