/**
 * The certificates of all sites. How the supervisor uses it:
 *
 *     const certificates = await CertificateManager.open({
 *       storage: configuration.storage, clock: systemClock, log, onServe, onAttempt,
 *     });
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
import { messageOf, PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { canonicalName, covers } from "./certificate-pair.ts";
import { DamagedFiles } from "./damaged.ts";
import { makeStorage } from "./durable-file.ts";
import { EmbeddedCa } from "./embedded-ca.ts";
import { watchEnding } from "./ending-watch.ts";
import { FilesJob } from "./files-job.ts";
import { IssuanceGuard, type GuardOptions } from "./guard/issuance-guard.ts";
import type { Issuer } from "./issuer.ts";
import { IssuerStores } from "./issuer-stores.ts";
import { CertificateJob } from "./job.ts";
import type { JobContext } from "./job-context.ts";
import { JournalStore } from "./journal-store.ts";
import { LocalIssuer } from "./local-issuer.ts";
import { OrderQueue } from "./order-queue.ts";
import { planCertificates, type CertificatePlan, type WantedCertificate } from "./plan.ts";
import { finishRevocations, revoke, type RevocationReason } from "./revocation.ts";
import { Publication } from "./publication.ts";
import { sayFound } from "./found-certificates.ts";
import { ServedRecord } from "./served-record.ts";
import type { CertificateAttempt, CertificateStatus, ServedCertificate } from "./status.ts";
import { CertificateStore } from "./store.ts";
import { StoredCertificates } from "./stored-certificates.ts";

export interface CertificateManagerOptions {
  /** Absolute path; made with mode 0700 where it is missing. */
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** `again`: the workers may have something else than they were told, so all of it has to be sent. */
  readonly onServe: (certificates: readonly ServedCertificate[], again: boolean) => Promise<void>;
  readonly onAttempt: (attempt: CertificateAttempt) => void;
  /** From 0 to below 1, for the jitter; Math.random unless given. */
  readonly random?: () => number;
  /** For tests: another CA's limits, another storage. */
  readonly guard?: Pick<GuardOptions, "limitsOf" | "storageDoubt">;
}

/** With more certificates than these, what was found for each is not a line of its own in the log. */
const MOST_TOLD = 50;

/** Milliseconds for each other certificate. */
const SPREAD = 250;

type Job = CertificateJob | FilesJob;

export class CertificateManager {
  readonly local: Issuer;
  readonly stores: IssuerStores;
  readonly ca: EmbeddedCa;
  /** Of the embedded CA. */
  readonly rootCertificatePem: string;
  readonly rootCertificatePath: string;
  /** What has happened to each certificate, and who is told of it. */
  readonly journals: JournalStore;
  readonly #publication: Publication;
  readonly #watch: { close(): void };
  readonly #options: CertificateManagerOptions;
  readonly #store: CertificateStore;
  readonly #context: JobContext;
  #jobs: ReadonlyMap<string, Job> = new Map();
  readonly #closing = new Set<Promise<void>>();
  #configuring: Promise<unknown> = Promise.resolve();
  /** How many certificates there are. */
  #wanted = 1;
  readonly #ending = new AbortController();
  #finishing: Promise<void> = Promise.resolve();
  #closed = false;

  /** @throws PaddockError `storage.failed` */
  static async open(options: CertificateManagerOptions): Promise<CertificateManager> {
    const { storage, clock, log } = options;
    const damaged = new DamagedFiles({ storage, clock, log });
    await makeStorage(storage);
    const guard = await IssuanceGuard.open({ storage, clock, log, damaged, ...options.guard });
    const ca = await EmbeddedCa.open({ storage, clock, damaged });
    return new CertificateManager(options, { damaged, guard, ca });
  }

  private constructor(
    options: CertificateManagerOptions,
    { damaged, guard, ca }: { damaged: DamagedFiles; guard: IssuanceGuard; ca: EmbeddedCa },
  ) {
    const { storage, clock, log, onAttempt, random = Math.random } = options;
    this.#options = options;
    this.stores = new IssuerStores({ storage, damaged });
    this.#store = new CertificateStore({ storage, damaged });
    this.ca = ca;
    this.journals = new JournalStore({ storage, damaged, clock, log });
    const record = new ServedRecord(this.journals);
    this.#publication = new Publication({
      log,
      onServe: options.onServe,
      served: () => this.served(),
      onSent: () => record.note([...this.#jobs.values()]),
    });
    this.#watch = watchEnding(() => this.status(), this.journals, clock);
    this.local = new LocalIssuer(ca);
    this.rootCertificatePem = ca.rootCertificatePem;
    this.rootCertificatePath = ca.rootCertificatePath;
    this.#context = {
      clock,
      log,
      onAttempt,
      random,
      guard,
      store: this.#store,
      local: this.local,
      journals: this.journals,
      queue: new OrderQueue(),
      // Of one certificate none, of ten thousand three quarters of an hour.
      spread: () => Math.floor(random() * (this.#wanted - 1) * SPREAD),
      isUnsent: () => this.#publication.isUnsent,
      publish: () => this.#publication.publish(),
    };
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
   * @param force also where the guard holds it back.
   * @throws PaddockError `certificate.unknown-name`, `certificate.held-back`, or why the attempt failed.
   */
  async renewNow(name: string, { force = false } = {}): Promise<void> {
    const job = this.#jobOf(name);
    if (!force && job instanceof CertificateJob) await job.refuseIfHeld();
    await job.renewNow(force);
  }

  /**
   * Revokes the certificate that serves `name` and orders another, with a new key, at once. Until that is there
   * the old one is served on: with it most browsers come through, with a temporary one none does.
   *
   * @throws PaddockError `certificate.unknown-name`, `certificate.brought`, or why the issuer or the order failed.
   */
  async revoke(name: string, reason: RevocationReason, signal: AbortSignal): Promise<void> {
    const job = this.#jobOf(name);
    if (!(job instanceof CertificateJob)) {
      throw new PaddockError("certificate.brought", `the certificate of ${name} comes from files`, {
        fix: "Revoke it where you got it, and put a new one into the files.",
      });
    }
    const { stored, issuers } = job.revocable;
    await revoke(stored, issuers, { name, reason, signal }, this.#context);
    try {
      await job.renewNow();
    } catch (cause) {
      const sentence = `the certificate of ${name} is revoked and still served, since there is no new one yet: ${messageOf(cause)}`;
      throw new PaddockError("certificate.revoked-not-replaced", sentence, {
        fix: "It is tried again by itself; `paddock certs list` shows when.",
        cause,
      });
    }
  }

  #jobOf(name: string): Job {
    const wanted = canonicalName(name);
    const jobs = [...this.#jobs.values()];
    const exact = jobs.find((job) => job.status().names.includes(wanted));
    const job = exact ?? jobs.find((job) => covers(job.status().names, wanted));
    if (job !== undefined) return job;
    throw new PaddockError("certificate.unknown-name", `no site has the name ${name}`, {
      fix: "Use a name that `paddock certs list` shows.",
    });
  }

  /** Sends the served set again, whether it changed or not; for a worker that serves something else. */
  async serveAgain(): Promise<void> {
    await this.#publication.publishAgain();
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
    await this.#finishing;
    await this.#publication.settled();
  }

  /** Ends everything; orders under way are aborted and clean up first. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ending.abort();
    this.#watch.close();
    await this.#configuring;
    await Promise.all([...this.#jobs.values()].map((job) => job.close()));
    await Promise.all(this.#closing);
    await this.journals.written();
    await this.#context.guard.written();
  }

  async #configure(wanted: readonly WantedCertificate[]): Promise<void> {
    if (this.#closed) throw new PaddockError("certificate.closed", "the certificates are being shut down");
    const plans = planCertificates(wanted, this.local);
    this.#wanted = Math.max(1, plans.length);
    const stored = new StoredCertificates(await this.#store.list());
    const opened: Job[] = [];
    const jobs = new Map<string, Job>();
    const permitted = this.ca.sites.permitted;
    // Public names too, for the time before their first certificate.
    this.ca.sites.permit(plans.flatMap(({ kind, names }) => (kind === "issued" ? names : [])));
    try {
      for (const plan of plans) {
        const kept = plan.kind === "issued" ? this.#jobs.get(plan.key) : undefined;
        const job = kept ?? (await this.#open(plan, stored));
        if (kept === undefined) opened.push(job);
        jobs.set(plan.key, job);
      }
    } catch (error) {
      this.ca.sites.permit(permitted);
      await Promise.all(opened.map((job) => job.close()));
      throw error;
    }
    const [staying, fresh] = [new Set(jobs.values()), new Set(opened)];
    const ended = [...this.#jobs.values()].filter((job) => !staying.has(job));
    this.#jobs = jobs;
    // Not awaited: an order that cleans up after itself may take seconds, and the reload need not wait for it.
    for (const job of ended) this.#end(job);
    for (const plan of plans) {
      const job = jobs.get(plan.key);
      if (job instanceof CertificateJob && plan.kind === "issued" && !fresh.has(job))
        job.update(plan, stored);
    }
    await this.#publication.publish();
    const quietly = opened.length > MOST_TOLD;
    for (const job of opened) job.start(quietly);
    if (quietly)
      sayFound(
        opened.map((job) => job.status()),
        this.#options.log,
      );
    const issuers = [...new Set(wanted.flatMap((site) => site.issuers))];
    this.#finishing = finishRevocations(issuers, this.#ending.signal, this.#context);
  }

  async #open(plan: CertificatePlan, stored: StoredCertificates): Promise<Job> {
    if (plan.kind === "files") {
      const { clock, log } = this.#options;
      return await FilesJob.open(plan, { clock, log, publish: () => this.#publication.publish() });
    }
    const job = new CertificateJob(plan, this.#context);
    await job.load(stored);
    return job;
  }

  #end(job: Job): void {
    const closing = job.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
