import type { JournalDocument } from "../../certificates/journal-document.ts";
import type { CertificateStatus } from "../../certificates/status.ts";
import { askDaemon } from "../control-client.ts";

/** A certificate's status with its journal, as `--json` prints it. */
export type JournaledStatus = CertificateStatus & { readonly journal: JournalDocument };

/** Asked for one by one: with ten thousand names, all of them at once would not fit into the daemon's memory. */
export async function withJournals(
  socket: string,
  certificates: readonly CertificateStatus[],
): Promise<JournaledStatus[]> {
  const whole: JournaledStatus[] = [];
  for (const certificate of certificates) {
    const journal = (await askDaemon(socket, "certs-journal", { name: certificate.name })) as JournalDocument;
    whole.push({ ...certificate, journal });
  }
  return whole;
}
