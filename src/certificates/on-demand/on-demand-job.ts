import type { Clock } from "../../clock.ts";
import { CertificateJob } from "../job.ts";
import type { JobContext } from "../job-context.ts";
import type { Issuer } from "../issuer.ts";
import type { CertificateStatus, ServedCertificate } from "../status.ts";
import type { StoredCertificates } from "../stored-certificates.ts";
import type { Permissions } from "./permission.ts";
import type { RememberedNames } from "./remembered-names.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A certificate is renewed as long as its name was used this recently, milliseconds. */
const UNUSED = 30 * DAY;
/** A name that never got one is given up when nobody has asked for it for so long, milliseconds. */
const GIVEN_UP = HOUR;
/** When the app is asked again that gave no answer, milliseconds. */
const ASK_AGAIN = 10 * MINUTE;

export interface OnDemandJobContext {
  readonly jobs: JobContext;
  readonly clock: Clock;
  readonly remembered: RememberedNames;
  /** Those in force now; null where no site has onDemand any more. */
  readonly permissions: () => Permissions | null;
  /** The name is not wanted any more; MUST NOT wait for the job, which is in the middle of its turn. */
  readonly onUnwanted: (job: OnDemandJob) => void;
}

/**
 * Keeps the certificate of one name that the configuration does not know. Before each order it looks whether the name
 * is still wanted: by clients, who used it of late, and by the app.
 */
export class OnDemandJob {
  readonly name: string;
  /** Whether the workers have it, or are to have it as soon as there is one. */
  awake = false;
  readonly #context: OnDemandJobContext;
  readonly #job: CertificateJob;
  /** When a client last asked for a certificate that is not there. */
  #wantedAt = -Infinity;
  #first: Promise<void> | null = null;
  #lapsing = false;

  constructor(name: string, issuers: readonly [Issuer, ...Issuer[]], context: OnDemandJobContext) {
    this.name = name;
    this.#context = context;
    this.#job = new CertificateJob(this.#plan(issuers), context.jobs);
  }

  /** Takes what is stored, and goes on with an order that was under way. */
  async open(stored: StoredCertificates): Promise<void> {
    await this.#job.load(stored);
    this.#job.start(true);
  }

  update(issuers: readonly [Issuer, ...Issuer[]], stored: StoredCertificates): void {
    this.#job.update(this.#plan(issuers), stored);
  }

  /** A client wants it now: joins the first order, begins it, or waits for the time of the next. Never rejects. */
  async want(): Promise<void> {
    this.#wantedAt = this.#context.clock.now();
    if (this.#job.status().state === "failing") return;
    this.#first ??= this.#job
      .renewNow()
      .catch(() => undefined)
      .finally(() => (this.#first = null));
    await this.#first;
  }

  get hasCertificate(): boolean {
    return this.#job.served().length > 0;
  }

  /** When the next order is due, milliseconds since the epoch. */
  get nextAttempt(): number {
    return this.#job.status().nextAttempt ?? Infinity;
  }

  served(): ServedCertificate[] {
    return this.#job.served();
  }

  status(): CertificateStatus {
    return { ...this.#job.status(), onDemand: this.#lapsing ? "lapsing" : "kept" };
  }

  /** For what an operator orders. */
  get job(): CertificateJob {
    return this.#job;
  }

  #plan(issuers: readonly [Issuer, ...Issuer[]]): ConstructorParameters<typeof CertificateJob>[0] {
    const { name } = this;
    return {
      kind: "issued",
      key: `on demand ${name}`,
      names: [name],
      issuers,
      onDemand: { postponed: () => this.#postponed() },
    };
  }

  /** Until when there is no order, milliseconds since the epoch; null where one may begin. */
  async #postponed(): Promise<number | null> {
    const { clock, remembered, permissions, onUnwanted } = this.#context;
    const { stored } = this.#job.subject;
    const unused = clock.now() - Math.max(this.#wantedAt, remembered.usedAt(this.name));
    const inUse = unused < (stored === null ? GIVEN_UP : UNUSED);
    const answer = inUse ? await permissions()?.of(this.name, false) : undefined;
    const now = clock.now();
    const valid = stored !== null && stored.notAfter > now;
    this.#lapsing = valid && inUse ? answer?.answer === "no" : valid;
    if (answer?.answer === "yes") return null;
    if (answer?.answer === "unknown") return now + ASK_AGAIN;
    // It may be used again, or the app may change its mind, as long as the certificate is good.
    if (valid) return Math.min(now + DAY, stored.notAfter);
    onUnwanted(this);
    return Infinity;
  }
}
