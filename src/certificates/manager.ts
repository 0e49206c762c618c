/**
 * The certificates of all sites. `supervisor/certificate-service.ts` puts it together with the CAs:
 *
 * - `onServe` gets the whole set each time that it changes, before `configure` resolves for the first time. It
 *   MUST resolve once all workers serve the set, and SHOULD send it to a worker that starts later by `served()`.
 * - `configure` is called again at each reload. It rejects with a PaddockError, and changes nothing, when a
 *   file of the operator's does not fit. It waits for no CA, but the listeners on port 80 should be up by then.
 * - Certificates that stay wanted keep their schedule and an order that is under way.
 * - `close` ends orders under way and resolves once they have cleaned up.
 *
 * Rejected: one timer over all certificates, as certmagic's maintenance tick is: a tick of ten minutes makes
 * "retry after one minute" a lie, and a timer for each certificate costs nothing.
 */
import { PaddockError } from "../errors.ts";
import { findByName } from "./certificate-pair.ts";
import { DamagedFiles } from "./damaged.ts";
import { makeStorage } from "./durable-file.ts";
import { EmbeddedCa } from "./embedded-ca.ts";
import { ClockDoubt, type ClockDifference } from "./clock-doubt.ts";
import { watchClock } from "./clock-watch.ts";
import { watchEnding } from "./ending-watch.ts";
import { FilesJob } from "./files-job.ts";
import { MOST_TOLD, sayFound } from "./found.ts";
import { IssuanceGuard } from "./guard/issuance-guard.ts";
import type { Issuer } from "./issuer.ts";
import { IssuerStores } from "./issuer-stores.ts";
import { CertificateJob } from "./job.ts";
import type { JobContext } from "./job-context.ts";
import { JournalStore } from "./journal-store.ts";
import { LocalIssuer } from "./local-issuer.ts";
import type { CertificateManagerOptions, ManagerParts } from "./manager-options.ts";
import { OnDemandJob } from "./on-demand/on-demand-job.ts";
import { OnDemandCertificates, type OnDemandTerms } from "./on-demand/on-demand-certificates.ts";
import { RememberedNames } from "./on-demand/remembered-names.ts";
import { OrderQueue } from "./order-queue.ts";
import { planCertificates, type CertificatePlan, type WantedCertificate } from "./plan.ts";
import { finishRevocations, revokeAndReplace, type RevocationReason } from "./revocation.ts";
import { Publication } from "./publication.ts";
import { RehearsalRecords } from "./rehearsal-records.ts";
import { Rehearsals, type CertificateSubject } from "./rehearsals.ts";
import { ServedRecord } from "./served-record.ts";
import type { CertificateStatus, ServedCertificate } from "./status.ts";
import { CertificateStore } from "./store.ts";
import { Storing } from "./storing.ts";
import { StoredCertificates } from "./stored-certificates.ts";

/** Milliseconds for each other certificate. */
const SPREAD = 250;

type Job = CertificateJob | FilesJob;

export class CertificateManager {
  readonly local: Issuer;
  readonly stores: IssuerStores;
  readonly ca: EmbeddedCa;
  /** What has happened to each certificate, and who is told of it. */
  readonly journals: JournalStore;
  /** Those of names that no site has. */
  readonly onDemand: OnDemandCertificates;
  readonly rehearsals: Rehearsals;
  readonly #publication: Publication;
  readonly #watches: readonly { close(): void }[];
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

  /** @throws PaddockError `storage.failed` */
  static async open(options: CertificateManagerOptions): Promise<CertificateManager> {
    const { storage, clock, log } = options;
    const damaged = new DamagedFiles({ storage, clock, log });
    await makeStorage(storage);
    const storing = new Storing({ clock, log });
    const guard = await IssuanceGuard.open({ storage, clock, log, damaged, ...options.guard });
    const rehearsals = await RehearsalRecords.open({ storage, log, damaged });
    const ca = await EmbeddedCa.open({ storage, clock, damaged, storing });
    const remembered = await RememberedNames.open({ storage, damaged, clock, log });
    return new CertificateManager(options, { damaged, ca, guard, storing, remembered, rehearsals });
  }

  private constructor(
    options: CertificateManagerOptions,
    { damaged, ca, guard, storing, remembered, rehearsals }: ManagerParts,
  ) {
    const { storage, clock, log, onAttempt, random = Math.random } = options;
    this.#options = options;
    this.stores = new IssuerStores({ storage, damaged });
    this.#store = CertificateStore.readingAhead({ storage, damaged });
    this.ca = ca;
    this.journals = new JournalStore({ storage, damaged, clock, log });
    const record = new ServedRecord(this.journals);
    this.#publication = new Publication({
      log,
      onServe: options.onServe,
      served: () => this.served(),
      onSent: () => record.note(this.#all),
    });
    const renewed = (): CertificateStatus[] => this.status().filter(({ onDemand }) => onDemand !== "lapsing");
    this.#watches = [
      watchEnding(renewed, this.journals, clock),
      watchClock(options, (by) => this.#replan(by)),
    ];
    this.local = new LocalIssuer(ca);
    this.#context = {
      clock,
      clockDoubt: new ClockDoubt({ clock, log }),
      log,
      onAttempt,
      random,
      guard,
      store: this.#store,
      storing,
      local: this.local,
      journals: this.journals,
      queue: new OrderQueue(),
      // Of one certificate none, of ten thousand three quarters of an hour.
      spread: () => Math.floor(random() * (this.#wanted - 1) * SPREAD),
      isUnsent: () => this.#publication.isUnsent,
      publish: () => this.#publication.publish(),
      rehearsals,
    };
    this.onDemand = new OnDemandCertificates(this.#context, remembered);
    const subjects = () => [...this.#jobs.values()].flatMap(({ subject }) => subject ?? []);
    this.rehearsals = new Rehearsals({ ...this.#context, subjects });
  }

  /**
   * Makes `wanted` the certificates that are kept. Resolves once something is served for each of them.
   *
   * @throws PaddockError; nothing has changed then.
   */
  async configure(
    wanted: readonly WantedCertificate[],
    onDemand: OnDemandTerms | null = null,
  ): Promise<void> {
    const turn = this.#configuring.then(() => this.#configure(wanted, onDemand));
    this.#configuring = turn.catch(() => {});
    await turn;
  }

  /** What is served now: the set that `onServe` got last. */
  served(): ServedCertificate[] {
    return [...[...this.#jobs.values()].flatMap((job) => job.served()), ...this.onDemand.served()];
  }

  status(): CertificateStatus[] {
    return this.#all.map((job) => job.status());
  }

  get #all(): (Job | OnDemandJob)[] {
    return [...this.#jobs.values(), ...this.onDemand.jobs()];
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
    await revokeAndReplace(this.#jobOf(name), { name, reason, signal }, this.#context);
  }

  /**
   * What is kept for `name`; null where its certificate comes from files.
   *
   * @throws PaddockError `certificate.unknown-name`
   */
  subjectOf(name: string): CertificateSubject | null {
    return this.#jobOf(name).subject;
  }

  #jobOf(name: string): Job {
    const found = findByName(this.#all, name, (one) => one.status().names);
    if (found !== null) return found instanceof OnDemandJob ? found.job : found;
    throw new PaddockError("certificate.unknown-name", `no site has the name ${name}`, {
      fix: "Use a name that `paddock certs list` shows.",
    });
  }

  /** Sends the served set again; for a worker that serves something else. */
  async serveAgain(): Promise<void> {
    await this.#publication.publishAgain();
  }

  /** By how much our clock differs from that of the CA that was heard last; null where it does not. */
  get clockDifference(): ClockDifference | null {
    return this.#context.clockDoubt.difference;
  }

  /** The names of the certificate that serves `name`; the journal is under these. Null where there is none. */
  namesFor(name: string): readonly string[] | null {
    return findByName(this.#all, name, (one) => one.status().names)?.status().names ?? null;
  }

  /** Resolves when no order and no other work is under way. */
  async settled(): Promise<void> {
    await this.#configuring;
    await this.onDemand.settled();
    await Promise.all([...this.#jobs.values()].map((job) => job.settled()));
    await this.#finishing;
    await this.rehearsals.settled();
    await this.#publication.settled();
  }

  /** Ends everything; orders under way are aborted and clean up first. */
  async close(): Promise<void> {
    this.#ending.abort();
    for (const watch of this.#watches) watch.close();
    await this.#configuring;
    const jobs = [this.onDemand, this.rehearsals, ...this.#jobs.values()];
    await Promise.all([...jobs.map((job) => job.close()), ...this.#closing]);
    await this.#context.storing.close();
    await this.journals.written();
    await this.#context.guard.written();
  }

  async #configure(wanted: readonly WantedCertificate[], onDemand: OnDemandTerms | null): Promise<void> {
    if (this.#ending.signal.aborted)
      throw new PaddockError("certificate.closed", "the certificates are being shut down");
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
    await this.onDemand.configure(onDemand, new Set(wanted.flatMap(({ names }) => names)), stored);
    this.#context.rehearsals.keepOnly(plans.map(({ names }) => names));
    await this.#publication.publish();
    const quietly = opened.length > MOST_TOLD;
    for (const job of opened) job.start(quietly);
    if (quietly) sayFound(opened, this.#options.log);
    const issuers = [...new Set(wanted.flatMap((site) => site.issuers))];
    this.#finishing = finishRevocations(issuers, this.#ending.signal, this.#context);
  }

  #replan(by: number): void {
    this.#context.clockDoubt.forget();
    const demanded = this.onDemand.jobs().map(({ job }) => job);
    for (const job of [...this.#jobs.values(), ...demanded])
      if (job instanceof CertificateJob) job.replan(by);
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
