import type { Configuration, UpstreamConfiguration } from "../config/configuration.ts";
import type { UpstreamLoad } from "../metrics/request-counts.ts";
import { nextShares } from "./allotment.ts";
import { backlogOf, unixSockets } from "./backlog.ts";
import { LearnedLimit } from "./learned-limit.ts";

/** How often the limits are looked at while there is something to do, milliseconds. */
const INTERVAL = 250;

/** A worker that has requests for apps. */
export interface LimitedWorker {
  /** Upstream name to what it has, as it reported last. */
  readonly demands: ReadonlyMap<string, UpstreamLoad>;
  /** Requests at a time. */
  setLimit(upstream: string, limit: number): void;
}

/**
 * `maxConcurrent` for all workers together: a number is divided by demand; `auto` learns one from the backlog of
 * the app's Unix socket, and sets no limit as long as the app takes all that comes.
 */
export class ConcurrencyLimits {
  readonly #workers: () => readonly LimitedWorker[];
  readonly #learned = new Map<string, LearnedLimit>();
  /** What each worker was told last; a worker that is not here has no limit yet. */
  #told = new WeakMap<LimitedWorker, Map<string, number>>();
  #upstreams: UpstreamConfiguration[] = [];
  #timer: NodeJS.Timeout | null = null;
  #busy = false;

  constructor(workers: () => readonly LimitedWorker[]) {
    this.#workers = workers;
  }

  configure(configuration: Configuration): void {
    const byName = new Map<string, UpstreamConfiguration>();
    for (const { upstream } of configuration.sites) {
      if (upstream !== null) byName.set(upstream.name, upstream);
    }
    this.#upstreams = [...byName.values()].filter(
      ({ maxConcurrent, to }) => maxConcurrent !== null || to.every(({ kind }) => kind === "unix"),
    );
    // A worker may have made an upstream anew, and then knows no limit.
    this.#told = new WeakMap();
    for (const name of this.#learned.keys()) if (!byName.has(name)) this.#learned.delete(name);
    this.#timer ??= setInterval(() => void this.#look(), INTERVAL).unref();
    void this.#look();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Upstream name to the limit in force, for those that have one. */
  inForce(): Record<string, number> {
    const limits = this.#upstreams.map((upstream) => [upstream.name, this.#limitOf(upstream)] as const);
    return Object.fromEntries(limits.filter(([, limit]) => limit !== Infinity));
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#learn();
      for (const upstream of this.#upstreams) this.#divide(upstream);
    } finally {
      this.#busy = false;
    }
  }

  async #learn(): Promise<void> {
    // One request at a time shows nothing, and most sites are idle most of the time.
    const learning = this.#upstreams.filter(
      ({ name, maxConcurrent }) => maxConcurrent === null && this.#sent(name) > 1,
    );
    if (learning.length === 0) return;
    const table = await unixSockets();
    if (table === null) return;
    for (const { name, to } of learning) {
      const backlog = to.reduce(
        (sum, address) => sum + (address.kind === "unix" ? backlogOf(table, address.path) : 0),
        0,
      );
      let limit = this.#learned.get(name);
      if (limit === undefined) this.#learned.set(name, (limit = new LearnedLimit()));
      limit.sample(this.#sent(name), backlog);
    }
  }

  #divide(upstream: UpstreamConfiguration): void {
    const { name } = upstream;
    const limit = this.#limitOf(upstream);
    if (limit === Infinity) return;
    const workers = this.#workers();
    const demands = workers.map((worker) => worker.demands.get(name) ?? { inFlight: 0, waiting: 0 });
    const current = workers.map((worker) => this.#told.get(worker)?.get(name) ?? 0);
    for (const [index, share] of nextShares(limit, current, demands).entries())
      this.#tell(workers[index] as LimitedWorker, name, share);
  }

  #tell(worker: LimitedWorker, upstream: string, share: number): void {
    let told = this.#told.get(worker);
    if (told === undefined) this.#told.set(worker, (told = new Map()));
    if (told.get(upstream) === share) return;
    told.set(upstream, share);
    worker.setLimit(upstream, share);
  }

  /** The limit in force, all workers together; Infinity where there is none. */
  #limitOf(upstream: UpstreamConfiguration): number {
    return upstream.maxConcurrent ?? this.#learned.get(upstream.name)?.value ?? Infinity;
  }

  /** Requests that the app has, accepted or not. */
  #sent(name: string): number {
    let sent = 0;
    for (const { demands } of this.#workers()) {
      const demand = demands.get(name);
      if (demand !== undefined) sent += demand.inFlight - demand.held;
    }
    return sent;
  }
}
