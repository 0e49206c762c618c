import { isOnDemandName } from "../../config/on-demand-name.ts";
import type { Issuer } from "../issuer.ts";
import type { JobContext } from "../job-context.ts";
import { moment, sentenceOf } from "../sentences.ts";
import { ON_DEMAND, type CertificateStatus, type ServedCertificate } from "../status.ts";
import { StoredCertificates } from "../stored-certificates.ts";
import { OnDemandJob } from "./on-demand-job.ts";
import type { Permissions } from "./permission.ts";
import type { NameLimit, RememberedNames } from "./remembered-names.ts";

/** What a configuration says of names that it does not know. */
export interface OnDemandTerms {
  /** The embedded CA alone, or those outside. */
  readonly issuers: readonly [Issuer, ...Issuer[]];
  readonly limit: NameLimit;
  readonly permissions: Permissions;
}

/** The answer to a worker whose client called it by a name without a certificate. */
export interface WantedAnswer {
  /** Every worker has the certificate. */
  readonly served: boolean;
  /** Where it is not: milliseconds for which to refuse the name without asking again. */
  readonly holds: number;
}

/** Milliseconds for each other certificate, as in the manager. */
const SPREAD = 250;
/** For which a name is refused whose order has failed, or that came beyond the limit, at most, milliseconds. */
const LONGEST_REFUSAL = 60_000;

/**
 * The certificates of names that no site has, made when a client first asks and the app says yes.
 *
 * What was made before is known at the start, renewed by itself, and given to the workers when it is first asked for.
 */
export class OnDemandCertificates {
  readonly #context: JobContext;
  readonly #remembered: RememberedNames;
  readonly #jobs = new Map<string, OnDemandJob>();
  /** By name, what is under way: two clients of one name share it, and a name comes back only once it is gone. */
  readonly #wanted = new Map<string, Promise<WantedAnswer>>();
  readonly #forgetting = new Map<string, Promise<void>>();
  #terms: OnDemandTerms | null = null;
  #configured: ReadonlySet<string> = new Set();
  #limitSaidAt = -Infinity;
  #closed = false;

  constructor(context: JobContext, remembered: RememberedNames) {
    const spread = (): number => Math.floor(context.random() * this.#jobs.size * SPREAD);
    // What counts attempts has no label for each of these names.
    const onAttempt: JobContext["onAttempt"] = (attempt) =>
      context.onAttempt({ ...attempt, name: ON_DEMAND });
    this.#context = { ...context, spread, onAttempt };
    this.#remembered = remembered;
  }

  /** `terms`: null for none; what is stored stays there, for when they come back. `configured`: names of the sites. */
  async configure(
    terms: OnDemandTerms | null,
    configured: ReadonlySet<string>,
    stored: StoredCertificates,
  ): Promise<void> {
    this.#terms = terms;
    this.#configured = configured;
    const ended: OnDemandJob[] = [];
    for (const [name, job] of this.#jobs) {
      const belongsToSite = this.#isConfigured(name);
      if (terms !== null && !belongsToSite) {
        job.update(terms.issuers, stored);
        continue;
      }
      this.#jobs.delete(name);
      ended.push(job);
      // Its files are the site's now, which finds them by the name.
      if (belongsToSite) await this.#remembered.remove(name);
    }
    // Not awaited, as the manager does it.
    for (const job of ended) void job.job.close();
    if (terms === null) return;
    for (const name of this.#remembered.names) {
      if (this.#jobs.has(name)) continue;
      if (this.#isConfigured(name)) await this.#remembered.remove(name);
      else await this.#open(name, terms, stored);
    }
  }

  /**
   * A client called a worker by a name that no certificate is there for.
   *
   * @param mayAsk is called before the app is asked about a name that is new; false refuses it.
   */
  want(name: string, mayAsk: () => boolean): Promise<WantedAnswer> {
    const underWay = this.#wanted.get(name);
    if (underWay !== undefined) return underWay;
    const answer = this.#answer(name, mayAsk).finally(() => this.#wanted.delete(name));
    this.#wanted.set(name, answer);
    return answer;
  }

  /** Clients use these; what is not used is not renewed. */
  used(names: readonly string[]): void {
    for (const name of names) this.#remembered.use(name);
  }

  jobs(): OnDemandJob[] {
    return [...this.#jobs.values()];
  }

  /** What the workers have. */
  served(): ServedCertificate[] {
    return this.jobs().flatMap((job) => (job.awake ? job.served() : []));
  }

  status(): CertificateStatus[] {
    return this.jobs().map((job) => job.status());
  }

  async settled(): Promise<void> {
    await Promise.all(this.#wanted.values());
    await Promise.all(this.jobs().map(({ job }) => job.settled()));
    await Promise.all(this.#forgetting.values());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.jobs().map(({ job }) => job.close()));
    await Promise.all(this.#forgetting.values());
    await this.#remembered.close();
  }

  async #answer(name: string, mayAsk: () => boolean): Promise<WantedAnswer> {
    const refused = (holds: number): WantedAnswer => ({
      served: false,
      holds: Math.min(LONGEST_REFUSAL, holds),
    });
    const terms = this.#terms;
    // A worker looks at that too; this is for one that has not heard of a reload yet.
    if (terms === null || !this.#isAllowed(name, terms) || this.#closed) return refused(LONGEST_REFUSAL);
    await this.#forgetting.get(name);
    let job: OnDemandJob | null | undefined = this.#jobs.get(name);
    if (job === undefined) {
      const { permissions, limit } = terms;
      if (permissions.known(name) === null && !mayAsk()) return refused(1000);
      const { answer, holds } = await permissions.of(name, true);
      if (answer !== "yes" || this.#terms !== terms || this.#closed) return refused(holds);
      const wait = this.#remembered.wait(limit);
      if (wait > 0) return refused(this.#sayLimit(name, wait));
      await this.#remembered.add(name, limit);
      // A reload may have come in between.
      job = this.#jobs.get(name);
      if (job === undefined && this.#terms !== null)
        job = await this.#open(name, this.#terms, new StoredCertificates([]));
      if (job === null || job === undefined) return refused(LONGEST_REFUSAL);
    }
    const { awake } = job;
    job.awake = true;
    if (!job.hasCertificate) await job.want();
    else if (!awake || this.#context.isUnsent()) await this.#context.publish();
    return job.hasCertificate && !this.#context.isUnsent()
      ? { served: true, holds: 0 }
      : refused(Math.max(1000, job.nextAttempt - this.#context.clock.now()));
  }

  #isAllowed(name: string, { issuers }: OnDemandTerms): boolean {
    return isOnDemandName(name, issuers[0] === this.#context.local) && !this.#isConfigured(name);
  }

  #isConfigured(name: string): boolean {
    return this.#configured.has(name) || this.#configured.has(`*${name.slice(name.indexOf("."))}`);
  }

  /** Null where the storage cannot be used. */
  async #open(name: string, terms: OnDemandTerms, stored: StoredCertificates): Promise<OnDemandJob | null> {
    const job = new OnDemandJob(name, terms.issuers, {
      jobs: this.#context,
      clock: this.#context.clock,
      remembered: this.#remembered,
      permissions: () => this.#terms?.permissions ?? null,
      onUnwanted: (one) => this.#forget(one),
    });
    this.#jobs.set(name, job);
    try {
      await job.open(stored);
      return job;
    } catch (error) {
      this.#jobs.delete(name);
      this.#context.log.error({ err: error }, `no certificate for ${name} on demand: ${sentenceOf(error)}`);
      return null;
    }
  }

  /** Nothing of the name stays: neither in memory nor in the storage nor with the workers. */
  #forget(job: OnDemandJob): void {
    const { name } = job;
    if (this.#jobs.get(name) !== job) return;
    this.#jobs.delete(name);
    const { log, store, journals, publish } = this.#context;
    const forgetting = async (): Promise<void> => {
      await job.job.close();
      await this.#remembered.remove(name);
      await store.remove([name]);
      await journals.remove([name]);
      await publish();
      log.info({ certificate: name }, `${name} is not wanted any more; its certificate is removed`);
    };
    const done = forgetting()
      .catch((error: unknown) =>
        log.warn({ err: error }, `what is stored of ${name} was not removed: ${sentenceOf(error)}`),
      )
      .finally(() => this.#forgetting.delete(name));
    this.#forgetting.set(name, done);
  }

  /** Once a minute, since the names come from strangers. */
  #sayLimit(name: string, wait: number): number {
    const now = this.#context.clock.now();
    if (Math.abs(now - this.#limitSaidAt) >= LONGEST_REFUSAL) {
      this.#limitSaidAt = now;
      this.#context.log.warn(
        { name },
        `no certificate for ${name}: onDemand.limit has been reached; the next new name is taken at ${moment(now + wait)}`,
      );
    }
    return wait;
  }
}
