import { stat } from "node:fs/promises";
import type { Clock, Timer } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { readCertificateFiles } from "./certificate-files.ts";
import type { CertificatePair } from "./certificate-pair.ts";
import { chainComplaint } from "./chain-order.ts";
import type { CertificatePlan } from "./plan.ts";
import { moment, sentenceOf } from "./sentences.ts";
import { serve } from "./served.ts";
import type { CertificateStatus, ServedCertificate } from "./status.ts";

type FilesPlan = Extract<CertificatePlan, { kind: "files" }>;

interface FilesContext {
  readonly clock: Clock;
  readonly log: Logger;
  /** Sends what is served now to the workers. Never rejects. */
  readonly publish: () => Promise<void>;
}

/**
 * How often the files are looked at, milliseconds. By their state and not by the kernel's notices: these do not come
 * for a file behind a symbolic link (certbot's `live/`), on network file systems and in many containers.
 */
const INTERVAL = 10_000;

/** Two files are not written in one moment; so long a pair that does not fit is nothing to speak of, milliseconds. */
const PATIENCE = 60_000;

/** A certificate of the operator's own: served as it is, and looked at for changes. */
export class FilesJob {
  /** Nobody is asked for it. */
  readonly subject = null;
  readonly #plan: FilesPlan;
  readonly #context: FilesContext;
  #pair: CertificatePair;
  /** What the files were when the pair was read. */
  #seen: string;
  #timer: Timer | null = null;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;
  /** Since when the files are others than those that are served, and cannot be used; null where they can. */
  #unusableSince: number | null = null;
  #unusable: { readonly message: string; readonly at: number } | null = null;

  /** @throws PaddockError as readCertificateFiles does */
  static async open(plan: FilesPlan, context: FilesContext): Promise<FilesJob> {
    // Before they are read: a change in between is seen as one.
    const seen = await stateOf(plan);
    return new FilesJob(plan, await readCertificateFiles(plan.files, plan.names), seen, context);
  }

  private constructor(plan: FilesPlan, pair: CertificatePair, seen: string, context: FilesContext) {
    this.#plan = plan;
    this.#pair = pair;
    this.#seen = seen;
    this.#context = context;
  }

  /** @param quietly say nothing of what is as it should be. */
  start(quietly: boolean): void {
    if (this.#ended) this.#context.log.error({ ...this.#fields, state: "failing" }, this.#complaint);
    else if (!quietly) this.#sayRead("read");
    this.#sayChain();
    this.#arm();
  }

  served(): ServedCertificate[] {
    return [serve(this.#pair, this.#plan.names, "files", "stored")];
  }

  status(): CertificateStatus {
    const { notBefore, notAfter, fingerprint } = this.#pair;
    const failing = this.#ended || this.#unusable !== null;
    return {
      name: this.#plan.names[0],
      names: this.#plan.names,
      issuer: "files",
      state: failing ? "failing" : "valid",
      waitingFor: this.#ended ? this.#complaint : (this.#unusable?.message ?? null),
      notBefore,
      notAfter,
      issuedAt: null,
      fingerprint,
      nextAttempt: null,
      nextReason: null,
      failures: 0,
      lastError: this.#ended ? { message: this.#complaint, at: notAfter } : this.#unusable,
      warnings: [],
      serving: "stored",
      rehearsal: null,
    };
  }

  async renewNow(): Promise<void> {
    throw new PaddockError("certificate.not-ours", `${this.#plan.names[0]} has a certificate from a file`, {
      fix: `Replace ${this.#plan.files.cert} and ${this.#plan.files.key}; they are taken within seconds.`,
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  async settled(): Promise<void> {
    await this.#looking;
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = this.#context.clock.setTimer(INTERVAL, () => {
      this.#looking = this.#look().finally(() => this.#arm());
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { clock } = this.#context;
    const state = await stateOf(this.#plan);
    if (state === this.#seen && this.#unusableSince === null) return;
    try {
      const pair = await readCertificateFiles(this.#plan.files, this.#plan.names);
      this.#unusableSince = null;
      this.#unusable = null;
      this.#seen = state;
      if (pair.fingerprint === this.#pair.fingerprint && pair.chain === this.#pair.chain) return;
      this.#pair = pair;
      await this.#context.publish();
      this.#sayRead("changed, and is served now: it was read");
      this.#sayChain();
    } catch (error) {
      this.#unusableSince ??= clock.now();
      if (this.#unusable !== null || clock.now() - this.#unusableSince < PATIENCE) return;
      const message = `the files have changed and cannot be used, so what they were before is served on: ${sentenceOf(error)}`;
      this.#unusable = { message, at: clock.now() };
      this.#context.log.error({ ...this.#fields, state: "failing", err: error }, message);
    }
  }

  #sayRead(how: string): void {
    const { names, files } = this.#plan;
    const sentence = `certificate for ${names.join(", ")} ${how} from ${files.cert}, valid until ${moment(this.#pair.notAfter)}`;
    this.#context.log.info({ ...this.#fields, state: "valid" }, sentence);
  }

  #sayChain(): void {
    const complaint = chainComplaint(this.#pair.chain);
    if (complaint === null) return;
    const { cert } = this.#plan.files;
    this.#context.log.warn(
      this.#fields,
      `${cert}: ${complaint}, so that many clients will not trust it. Put the intermediates behind the certificate; certbot's fullchain.pem has them.`,
    );
  }

  get #fields(): { certificate: string; fingerprint: string } {
    return { certificate: this.#plan.names[0], fingerprint: this.#pair.fingerprint };
  }

  get #ended(): boolean {
    return this.#pair.notAfter <= this.#context.clock.now();
  }

  get #complaint(): string {
    const { cert, key } = this.#plan.files;
    return `the certificate in ${cert} ended at ${moment(this.#pair.notAfter)}. Replace ${cert} and ${key}; they are taken within seconds.`;
  }
}

/** What tells that a file is another than before, through symbolic links; a file that is not there is one state too. */
async function stateOf({ files }: FilesPlan): Promise<string> {
  const states = await Promise.all(
    [files.cert, files.key].map((path) =>
      stat(path).then(
        ({ dev, ino, size, mtimeMs }) => `${dev} ${ino} ${size} ${mtimeMs}`,
        () => "gone",
      ),
    ),
  );
  return states.join("\n");
}
