import type { Logger } from "../logging/logger.ts";
import { moment } from "./sentences.ts";
import type { CertificateStatus } from "./status.ts";

/** One line in place of one for each of very many certificates. */
export function sayFound(opened: readonly { status(): CertificateStatus }[], log: Logger): void {
  const found = opened.map((job) => job.status()).filter(({ state }) => state === "valid");
  const first = Math.min(...found.map(({ notAfter }) => notAfter ?? Infinity));
  log.info(
    { certificates: found.length },
    `${found.length} of ${opened.length} certificates found in the storage or in their files` +
      (found.length === 0 ? "" : `; the first of them ends at ${moment(first)}`),
  );
}
