import type { Clock } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { readCertificateFiles } from "./certificate-files.ts";
import type { CertificatePair } from "./certificate-pair.ts";
import type { CertificatePlan } from "./plan.ts";
import { moment } from "./sentences.ts";
import { serve } from "./served.ts";
import type { CertificateStatus, ServedCertificate } from "./status.ts";

type FilesPlan = Extract<CertificatePlan, { kind: "files" }>;

/** A certificate of the operator's own: read once, at start and at each reload, and served as it is. */
export class FilesJob {
  readonly #plan: FilesPlan;
  readonly #pair: CertificatePair;
  readonly #clock: Clock;
  readonly #log: Logger;

  /** @throws PaddockError as readCertificateFiles does */
  static async open(plan: FilesPlan, context: { clock: Clock; log: Logger }): Promise<FilesJob> {
    return new FilesJob(plan, await readCertificateFiles(plan.files, plan.names), context);
  }

  private constructor(plan: FilesPlan, pair: CertificatePair, context: { clock: Clock; log: Logger }) {
    this.#plan = plan;
    this.#pair = pair;
    this.#clock = context.clock;
    this.#log = context.log;
  }

  start(): void {
    const { names, files } = this.#plan;
    const { notAfter, fingerprint } = this.#pair;
    const fields = { certificate: names[0], fingerprint };
    if (this.#ended) this.#log.error({ ...fields, state: "failing" }, this.#complaint);
    else {
      const sentence = `certificate for ${names.join(", ")} read from ${files.cert}, valid until ${moment(notAfter)}`;
      this.#log.info({ ...fields, state: "valid" }, sentence);
    }
  }

  served(): ServedCertificate[] {
    return [serve(this.#pair, this.#plan.names, "files", "stored")];
  }

  status(): CertificateStatus {
    const { notBefore, notAfter, fingerprint } = this.#pair;
    return {
      name: this.#plan.names[0],
      names: this.#plan.names,
      issuer: "files",
      state: this.#ended ? "failing" : "valid",
      waitingFor: this.#ended ? this.#complaint : null,
      notBefore,
      notAfter,
      issuedAt: null,
      fingerprint,
      nextAttempt: null,
      nextReason: null,
      failures: 0,
      lastError: this.#ended ? { message: this.#complaint, at: notAfter } : null,
      serving: "stored",
    };
  }

  async renewNow(): Promise<void> {
    throw new PaddockError("certificate.not-ours", `${this.#plan.names[0]} has a certificate from a file`, {
      fix: `Replace ${this.#plan.files.cert} and ${this.#plan.files.key}, then run \`paddock reload\`.`,
    });
  }

  async close(): Promise<void> {}

  async settled(): Promise<void> {}

  get #ended(): boolean {
    return this.#pair.notAfter <= this.#clock.now();
  }

  get #complaint(): string {
    const { cert, key } = this.#plan.files;
    return `the certificate in ${cert} ended at ${moment(this.#pair.notAfter)}. Replace ${cert} and ${key}, then run \`paddock reload\`.`;
  }
}
