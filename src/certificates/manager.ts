/**
 * The certificates of all sites. How the supervisor uses it:
 *
 *     const certificates = await CertificateManager.open({
 *       storage: configuration.storage, clock: systemClock, log, onServe, onAttempt,
 *     });
 *     const issuersOf = (configuration: Configuration) =>
 *       Promise.all(configuration.issuers.map((issuer) =>
 *         issuer.kind === "local"
 *           ? certificates.local
 *           : acmeIssuer(issuer, {
 *               email: configuration.email, accounts: certificates.accounts(issuer.name), board, clock, version,
 *             })));
 *     const issuers = await issuersOf(configuration);
 *     await certificates.configure(
 *       configuration.sites.map(({ names, certificate }) => ({ names, choice: certificate, issuers })),
 *     );
 *
 * - `onServe` gets the whole set each time that it changes, before `configure` resolves for the first time. It
 *   MUST resolve once all workers serve the set, and SHOULD send it to a worker that starts later by `served()`.
 * - `configure` is called again at each reload. It rejects with a PaddockError, and changes nothing, when a
 *   file of the operator's does not fit. It waits for no CA: orders begin when it is done, and their tokens
 *   come to the board, so the listeners on port 80 should be up by then.
 * - Certificates that stay wanted keep their schedule and an order that is under way.
 * - `close` ends orders under way and resolves once they have cleaned up.
 *
 * Rejected: one timer over all certificates, as certmagic's maintenance tick is: a tick of ten minutes makes
 * "retry after one minute" a lie, and a timer for each certificate costs nothing.
 */
import type { Clock } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { AccountStore } from "./account-store.ts";
import { canonicalName, covers } from "./certificate-pair.ts";
import { DamagedFiles } from "./damaged.ts";
import { makeStorage } from "./durable-file.ts";
import { EmbeddedCa } from "./embedded-ca.ts";
import { watchEnding } from "./ending-watch.ts";
import { FilesJob } from "./files-job.ts";
import type { Issuer } from "./issuer.ts";
import { CertificateJob, type JobContext } from "./job.ts";
import { JournalStore } from "./journal-store.ts";
import { LocalIssuer } from "./local-issuer.ts";
import { OrderQueue } from "./order-queue.ts";
import { planCertificates, type CertificatePlan, type WantedCertificate } from "./plan.ts";
import { sentenceOf } from "./sentences.ts";
import { ServedRecord } from "./served-record.ts";
import type { CertificateAttempt, CertificateStatus, ServedCertificate } from "./status.ts";
import { CertificateStore, type StoredCertificate } from "./store.ts";

export interface CertificateManagerOptions {
  /** Absolute path; made with mode 0700 where it is missing. */
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onServe: (certificates: readonly ServedCertificate[]) => Promise<void>;
  readonly onAttempt: (attempt: CertificateAttempt) => void;
  /** From 0 to below 1, for the jitter; Math.random unless given. */
  readonly random?: () => number;
}

type Job = CertificateJob | FilesJob;

export class CertificateManager {
  readonly local: Issuer;
  /** Of the embedded CA. */
  readonly rootCertificatePem: string;
  readonly rootCertificatePath: string;
  /** What has happened to each certificate, and who is told of it. */
  readonly journals: JournalStore;
  readonly #served: ServedRecord;
  readonly #watch: { close(): void };
  readonly #options: CertificateManagerOptions;
  readonly #damaged: DamagedFiles;
  readonly #store: CertificateStore;
  readonly #context: JobContext;
  #jobs: ReadonlyMap<string, Job> = new Map();
  readonly #closing = new Set<Promise<void>>();
  #configuring: Promise<unknown> = Promise.resolve();
  #publishing: Promise<void> = Promise.resolve();
  #sent = "";
  #closed = false;

  /** @throws PaddockError `storage.failed` */
  static async open(options: CertificateManagerOptions): Promise<CertificateManager> {
    const { storage, clock, log } = options;
    const damaged = new DamagedFiles({ storage, clock, log });
    await makeStorage(storage);
    return new CertificateManager(options, damaged, await EmbeddedCa.open({ storage, clock, damaged }));
  }

  private constructor(options: CertificateManagerOptions, damaged: DamagedFiles, ca: EmbeddedCa) {
    const { storage, clock, log, onAttempt, random = Math.random } = options;
    this.#options = options;
    this.#damaged = damaged;
    this.#store = new CertificateStore({ storage, damaged });
    this.journals = new JournalStore({ storage, damaged, clock, log });
    this.#served = new ServedRecord(this.journals);
    this.#watch = watchEnding(() => this.status(), this.journals, clock);
    this.local = new LocalIssuer(ca);
    this.rootCertificatePem = ca.rootCertificatePem;
    this.rootCertificatePath = ca.rootCertificatePath;
    this.#context = {
      clock,
      log,
      onAttempt,
      random,
      store: this.#store,
      local: this.local,
      journals: this.journals,
      queue: new OrderQueue(),
      publish: () => this.#publish(),
    };
  }

  /** Where the account at one issuer is kept, for the ACME client. */
  accounts(issuer: string): AccountStore {
    return new AccountStore({ storage: this.#options.storage, issuer, damaged: this.#damaged });
  }

  /**
   * Makes `wanted` the certificates that are kept. Resolves once something is served for each of them.
   *
   * @throws PaddockError; nothing has changed then.
   */
  async configure(wanted: readonly WantedCertificate[]): Promise<void> {
    const turn = this.#configuring.then(() => this.#configure(wanted));
    this.#configuring = turn.catch(() => {});
    await turn;
  }

  /** What is served now: the set that `onServe` got last. */
  served(): ServedCertificate[] {
    return [...this.#jobs.values()].flatMap((job) => job.served());
  }

  status(): CertificateStatus[] {
    return [...this.#jobs.values()].map((job) => job.status());
  }

  /**
   * Orders the certificate that serves `name` at once.
   *
   * @throws PaddockError `certificate.unknown-name`, or why the attempt failed.
   */
  async renewNow(name: string): Promise<void> {
    const wanted = canonicalName(name);
    const jobs = [...this.#jobs.values()];
    const exact = jobs.find((job) => job.status().names.includes(wanted));
    const job = exact ?? jobs.find((job) => covers(job.status().names, wanted));
    if (job !== undefined) return await job.renewNow();
    throw new PaddockError("certificate.unknown-name", `no site has the name ${name}`, {
      fix: "Use a name that `paddock certs list` shows.",
    });
  }

  /** Sends the served set again, whether it changed or not; for a worker that serves something else. */
  async serveAgain(): Promise<void> {
    this.#sent = "";
    await this.#publish();
  }

  /** The names of the certificate that serves `name`; the journal is under these. Null where there is none. */
  namesFor(name: string): readonly string[] | null {
    const wanted = canonicalName(name);
    const all = this.status().map(({ names }) => names);
    return all.find((names) => names.includes(wanted)) ?? all.find((names) => covers(names, wanted)) ?? null;
  }

  /** Resolves when no order and no other work is under way. */
  async settled(): Promise<void> {
    await this.#configuring;
    await Promise.all([...this.#jobs.values()].map((job) => job.settled()));
    await this.#publishing;
  }

  /** Ends everything; orders under way are aborted and clean up first. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.close();
    await this.#configuring;
    await Promise.all([...this.#jobs.values()].map((job) => job.close()));
    await Promise.all(this.#closing);
    await this.journals.written();
  }

  async #configure(wanted: readonly WantedCertificate[]): Promise<void> {
    if (this.#closed) throw new PaddockError("certificate.closed", "the certificates are being shut down");
    const plans = planCertificates(wanted, this.local);
    const stored = await this.#store.list();
    const opened: Job[] = [];
    const jobs = new Map<string, Job>();
    try {
      for (const plan of plans) {
        const kept = plan.kind === "issued" ? this.#jobs.get(plan.key) : undefined;
        const job = kept ?? (await this.#open(plan, stored));
        if (kept === undefined) opened.push(job);
        jobs.set(plan.key, job);
      }
    } catch (error) {
      await Promise.all(opened.map((job) => job.close()));
      throw error;
    }
    const ended = [...this.#jobs.values()].filter((job) => ![...jobs.values()].includes(job));
    this.#jobs = jobs;
    // Not awaited: an order that cleans up after itself may take seconds, and the reload need not wait for it.
    for (const job of ended) this.#end(job);
    for (const plan of plans) {
      const job = jobs.get(plan.key);
      if (job instanceof CertificateJob && plan.kind === "issued") job.update(plan);
    }
    await this.#publish();
    for (const job of opened) job.start();
  }

  async #open(plan: CertificatePlan, stored: readonly StoredCertificate[]): Promise<Job> {
    if (plan.kind === "files") return await FilesJob.open(plan, this.#options);
    const job = new CertificateJob(plan, this.#context);
    await job.load(stored);
    return job;
  }

  #end(job: Job): void {
    const closing = job.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** One after the other, so that an older set can never overtake a newer one. */
  #publish(): Promise<void> {
    this.#publishing = this.#publishing.then(async () => {
      const served = this.served();
      const set = served.map(({ names, fingerprint }) => `${fingerprint} ${names.join(" ")}`).join("\n");
      if (set === this.#sent) return;
      try {
        await this.#options.onServe(served);
        this.#sent = set;
        this.#served.note([...this.#jobs.values()]);
      } catch (error) {
        this.#options.log.error(
          { err: error },
          `new certificates did not reach the workers: ${sentenceOf(error)}`,
        );
      }
    });
    return this.#publishing;
  }
}
