import type { Configuration } from "../config/configuration.ts";
import { messageOf } from "../errors.ts";
import type { Maintenance } from "../handlers/maintenance.ts";
import type { Logger } from "../logging/logger.ts";
import type { WorkerCounts } from "../metrics/request-counts.ts";
import type { TlsCertificate } from "../tls/certificate.ts";
import type { PendingChallenges, WorkerUsage } from "../worker-protocol.ts";
import { keyed } from "./certificate-changes.ts";
import type { WantedRequests } from "./on-demand/wanted-requests.ts";
import { socketsOf, type ListeningSocket } from "./listeners.ts";
import type { WorkerHolding } from "./served-check/served-check.ts";
import { makeBufferFolder } from "./buffer-folder.ts";
import { readableFolders } from "./readable-folders.ts";
import { WorkerProcess, type OwnReport } from "./worker-process.ts";

/** A worker that lived shorter than this is replaced after a wait that doubles, milliseconds. */
const SHORT_LIFE = 10_000;
const LONGEST_WAIT = 30_000;
/** A replaced worker has as long as this for what it carries, WebSockets and long downloads, milliseconds. */
const REPLACED_LIFE = 24 * 3_600_000;
/** A replaced worker keeps idle connections that long for one more request, milliseconds. */
const IDLE_GRACE = 10_000;

/** What every worker must know, kept so that a new one can be told. */
interface Knowledge {
  configuration: Configuration;
  ticketKeys: string;
  certificates: ReadonlyMap<string, TlsCertificate>;
  challenges: PendingChallenges;
  maintenance: readonly Maintenance[];
  sockets: readonly ListeningSocket[];
}

/** The workers: started, told, replaced, and given the sockets to accept on. */
export class Workers {
  readonly retired: WorkerCounts[] = [];
  /** Set before the workers have sockets. */
  onDemand: WantedRequests | null = null;
  readonly #log: Logger;
  readonly #all = new Set<WorkerProcess>();
  #serving: WorkerProcess[] = [];
  /** Begun, and not told anything yet. */
  readonly #spawned: WorkerProcess[] = [];
  #known: Knowledge;
  #wait = 0;
  #closing = false;
  restarts = 0;

  constructor(known: Knowledge, log: Logger) {
    this.#known = { ...known };
    this.#log = log;
  }

  get serving(): readonly WorkerProcess[] {
    return this.#serving;
  }

  /** Those that drain, too. */
  get all(): readonly WorkerProcess[] {
    return [...this.#all];
  }

  /**
   * Begins the processes, which take half a second to come up, before there is anything to tell them. The storage
   * MUST be there.
   */
  spawn(): void {
    while (this.#spawned.length < this.#known.configuration.workers) this.#spawned.push(this.#spawn());
  }

  async start(): Promise<void> {
    const { configuration } = this.#known;
    await Promise.all(Array.from({ length: configuration.workers }, () => this.#startOne()));
  }

  /** Resolves when all of them are accepted on; rejects with ERR_LISTEN if one cannot be. */
  async setSockets(sockets: readonly ListeningSocket[]): Promise<void> {
    this.#known.sockets = sockets;
    await this.#assignSockets();
  }

  /** In place where that is enough; with new processes where a worker's permissions or number have changed. */
  async configure(configuration: Configuration, ticketKeys: string): Promise<"in place" | "replaced"> {
    const before = this.#known.configuration;
    this.#known = { ...this.#known, configuration, ticketKeys };
    const readable = readableFolders(configuration);
    const enough =
      configuration.workers === before.workers &&
      configuration.log.format === before.log.format &&
      this.#serving.length > 0 &&
      this.#serving.every((worker) => readable.every((folder) => worker.readable.includes(folder)));
    if (enough) {
      await this.#tellAll((worker) => worker.configure(configuration, ticketKeys));
      return "in place";
    }
    const old = [...this.#serving];
    await Promise.all(Array.from({ length: configuration.workers }, () => this.#startOne()));
    this.#serving = this.#serving.filter((worker) => !old.includes(worker));
    await this.#assignSockets();
    for (const worker of old) this.#retire(worker, REPLACED_LIFE, IDLE_GRACE);
    return "replaced";
  }

  /**
   * Resolves when every worker serves them.
   *
   * @param again also those that the workers have.
   */
  async setCertificates(certificates: readonly TlsCertificate[], again = false): Promise<void> {
    const known = keyed(certificates);
    this.#known.certificates = known;
    await this.#tellAll((worker) => worker.serve(known, again));
  }

  /** What each worker that serves holds for these names; one that ends or does not answer is left out. */
  async held(names: readonly string[]): Promise<WorkerHolding[]> {
    const answers = await Promise.all(
      this.#serving.map(async (worker) => {
        const patience = new Promise<null>((resolve) => setTimeout(() => resolve(null), 5000).unref());
        const asked = worker.order({ type: "held", names }).catch(() => null);
        const fingerprints = (await Promise.race([asked, patience]))?.fingerprints;
        return fingerprints === undefined ? [] : [{ worker: worker.pid, fingerprints }];
      }),
    );
    return answers.flat();
  }

  /** Resolves when every worker answers with them. */
  async setChallenges(challenges: PendingChallenges): Promise<void> {
    this.#known.challenges = challenges;
    await this.#tellAll((worker) => worker.order({ type: "challenges", challenges }));
  }

  /** Resolves when every worker answers by them. */
  async setMaintenance(sites: readonly Maintenance[]): Promise<void> {
    this.#known.maintenance = sites;
    await this.#tellAll((worker) => worker.order({ type: "maintenance", sites }));
  }

  /** Resolves when no worker answers from what it had; those that drain, too. */
  async purge(site: string, pattern: string | null): Promise<void> {
    await Promise.all(
      [...this.#all].map((worker) => worker.order({ type: "purge", site, pattern }).catch(() => undefined)),
    );
  }

  async setTicketKeys(ticketKeys: string): Promise<void> {
    this.#known.ticketKeys = ticketKeys;
    const { configuration } = this.#known;
    await this.#tellAll((worker) => worker.configure(configuration, ticketKeys));
  }

  /** The counts of all workers, the gone ones included; a worker that does not answer in a second is left out. */
  async counts(): Promise<WorkerCounts[]> {
    await Promise.all(
      [...this.#all].map((worker) =>
        Promise.race([
          worker.order({ type: "counts" }),
          new Promise((resolve) => setTimeout(resolve, 1000).unref()),
        ]).catch(() => undefined),
      ),
    );
    return [
      ...this.retired,
      ...[...this.#all].flatMap((worker) => (worker.counts === null ? [] : [worker.counts])),
    ];
  }

  /** Finishes what is in flight, for at most `timeout` milliseconds. */
  async drain(timeout: number): Promise<void> {
    this.#closing = true;
    const leaving = [...this.#all];
    this.#serving = [];
    for (const worker of leaving) this.#retire(worker, timeout, 0);
    const end = Date.now() + timeout + 1000;
    while (this.#all.size > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    this.kill();
  }

  kill(): void {
    this.#closing = true;
    for (const worker of this.#all) worker.kill();
  }

  #spawn(): WorkerProcess {
    const { configuration } = this.#known;
    const worker = new WorkerProcess(
      readableFolders(configuration),
      makeBufferFolder(configuration.storage, this.#log),
      (one, report) => this.#reported(one, report),
      (gone, how) => this.#exited(gone, how),
    );
    this.#all.add(worker);
    return worker;
  }

  async #startOne(): Promise<void> {
    const worker = this.#spawned.shift() ?? this.#spawn();
    await worker.started();
    const { configuration, ticketKeys, certificates, challenges, maintenance } = this.#known;
    await worker.configure(configuration, ticketKeys);
    await worker.order({ type: "challenges", challenges });
    await worker.serve(certificates);
    await worker.order({ type: "maintenance", sites: maintenance });
    // What changed while it started is sent once more; from here on it is told with the others.
    worker.state = "serving";
    this.#serving.push(worker);
    await worker.serve(this.#known.certificates);
    if (this.#known.challenges !== challenges) {
      await worker.order({ type: "challenges", challenges: this.#known.challenges });
    }
    if (this.#known.maintenance !== maintenance) {
      await worker.order({ type: "maintenance", sites: this.#known.maintenance });
    }
    await this.#assignSockets();
  }

  /**
   * Every socket has a worker that accepts on it as long as there is one; each worker has as many as the others.
   * A socket may change hands at any time: what waits on it is accepted by the next.
   */
  async #assignSockets(): Promise<void> {
    const { sockets } = this.#known;
    const serving = this.#serving;
    await Promise.all(
      serving.map((worker, place) =>
        worker.listenOn(socketsOf(place, serving.length, sockets)).catch((error: unknown) => {
          if (worker.state === "serving") throw error;
        }),
      ),
    );
  }

  #retire(worker: WorkerProcess, timeout: number, idle: number): void {
    worker.state = "draining";
    worker.order({ type: "drain", timeout, idle }).catch(() => undefined);
    setTimeout(() => {
      if (this.#all.has(worker)) worker.kill();
    }, timeout + 2000).unref();
  }

  #exited(worker: WorkerProcess, how: string): void {
    this.#all.delete(worker);
    this.#tellOthers(worker, { passed: null, connections: {}, invalidated: null });
    if (worker.counts !== null) this.#keepCounts(worker.counts);
    const wasServing = this.#serving.includes(worker);
    this.#serving = this.#serving.filter((other) => other !== worker);
    this.#assignSockets().catch((error: unknown) =>
      this.#log.error(
        { cause: messageOf(error) },
        "the sockets of a worker that ended could not be given on",
      ),
    );
    if (this.#closing || (!wasServing && worker.startedAt + SHORT_LIFE < Date.now())) return;
    if (!wasServing && this.#serving.length >= this.#known.configuration.workers) return;
    this.#wait =
      Date.now() - worker.startedAt < SHORT_LIFE ? Math.min(LONGEST_WAIT, Math.max(250, this.#wait * 2)) : 0;
    this.restarts++;
    this.#log.error({ pid: worker.pid, how, wait: this.#wait }, "a worker ended; another takes its place");
    setTimeout(() => {
      if (this.#closing) return;
      this.#startOne().catch((error: unknown) =>
        this.#log.error({ cause: messageOf(error) }, "a worker did not start"),
      );
    }, this.#wait);
  }

  #reported(worker: WorkerProcess, report: OwnReport): void {
    if (report.type === "usage") this.#tellOthers(worker, report.usage);
    else this.onDemand?.take(report, worker);
  }

  #tellOthers(worker: WorkerProcess, usage: WorkerUsage): void {
    for (const other of this.#all) if (other !== worker) other.tellUsage(worker.pid, usage);
  }

  /** Its connections and requests in flight are gone with it. */
  #keepCounts(counts: WorkerCounts): void {
    this.retired.push({
      ...counts,
      connections: {},
      upstreamUp: {},
      inFlight: 0,
      tunnels: {},
      loads: {},
      cacheBytes: {},
    });
  }

  async #tellAll(order: (worker: WorkerProcess) => Promise<unknown>): Promise<void> {
    await Promise.all(
      this.#serving.map((worker) =>
        order(worker).catch((error: unknown) => {
          if (worker.state === "serving")
            this.#log.warn({ pid: worker.pid, cause: messageOf(error) }, "a worker was not told");
        }),
      ),
    );
  }
}
