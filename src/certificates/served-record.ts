import type { ServedPart } from "./journal-event.ts";
import type { JournalStore } from "./journal-store.ts";
import type { CertificateStatus, ServedCertificate } from "./status.ts";

interface Serving {
  served(): ServedCertificate[];
  status(): CertificateStatus;
}

/** Takes down in each journal what is served since when, once the workers serve it. */
export class ServedRecord {
  readonly #journals: JournalStore;
  /** What was taken down since the start: a swap of one certificate is no reason to open ten thousand journals. */
  #known = new WeakMap<Serving, string>();

  constructor(journals: JournalStore) {
    this.#journals = journals;
  }

  note(jobs: readonly Serving[]): void {
    for (const job of jobs) {
      const certificates = job
        .served()
        .map(
          ({ names, fingerprint, issuer, origin }): ServedPart => ({ names, fingerprint, issuer, origin }),
        );
      const text = certificates
        .map(({ names, fingerprint }) => `${fingerprint} ${names.join(" ")}`)
        .join("\n");
      if (this.#known.get(job) === text) continue;
      this.#known.set(job, text);
      this.#journals.of(job.status().names).record({ kind: "served", certificates });
    }
  }
}
