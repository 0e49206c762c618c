import type { OnDemandCertificates } from "../../certificates/on-demand/on-demand-certificates.ts";
import { TokenBuckets } from "../../handlers/protection/token-buckets.ts";
import type { WorkerReport } from "../../worker-protocol.ts";

/** How many names that are new one client may bring up. */
const NEW_NAMES = { requests: 10, per: 60_000, burst: 20 };
const MOST_CLIENTS = 10_000;

/** What workers tell of names on demand; a client that makes up names is not listened to for long. */
export class WantedRequests {
  readonly #certificates: OnDemandCertificates;
  readonly #clients = new TokenBuckets(NEW_NAMES, MOST_CLIENTS);

  constructor(certificates: OnDemandCertificates) {
    this.#certificates = certificates;
  }

  take(
    report: Extract<WorkerReport, { type: "wanted" | "used" }>,
    worker: { answerWanted(name: string, holds: number): void },
  ): void {
    if (report.type === "used") {
      this.#certificates.used(report.names);
      return;
    }
    const { name, client } = report;
    const mayAsk = (): boolean => client === null || this.#clients.take(client, performance.now()) === 0;
    void this.#certificates
      .want(name, mayAsk)
      .then(({ served, holds }) => worker.answerWanted(name, served ? 0 : Math.max(1, holds)));
  }
}
