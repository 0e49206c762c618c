/** Bounds of the duration histogram, seconds. */
export const DURATION_BUCKETS: readonly number[] = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** What a worker has to do for one upstream at this moment. */
export interface UpstreamLoad {
  /** Requests that were let to the app. */
  readonly inFlight: number;
  /** Requests in the queue. */
  readonly waiting: number;
  /** Those of `inFlight` that wait for the app to come back. */
  readonly held: number;
}

/** Since the worker's start; keys are label values joined by a tab. */
export interface WorkerCounts {
  /** site, protocol, method, code. */
  readonly requests: Record<string, number>;
  /** site, handler: one number per bucket, then the ones above, then the sum of seconds. */
  readonly durations: Record<string, number[]>;
  /** upstream, outcome. */
  readonly upstream: Record<string, number>;
  /** upstream: 1 where the last request was answered, 0 where the app could not be reached or kept silent. */
  readonly upstreamUp: Record<string, number>;
  /** version, resumed. */
  readonly handshakes: Record<string, number>;
  /** listener. */
  readonly connections: Record<string, number>;
  /** listener: closed at once, since the client had too many. */
  readonly connectionsRefused: Record<string, number>;
  /** HTTP/2 connections ended for what their client did with them. */
  readonly sessionsEnded: number;
  readonly inFlight: number;
  /** upstream: open WebSockets. */
  readonly tunnels: Record<string, number>;
  /** site, outcome. */
  readonly cache: Record<string, number>;
  /** site. */
  readonly cacheBytes: Readonly<Record<string, number>>;
  /** upstream. */
  readonly loads: Readonly<Record<string, UpstreamLoad>>;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]);

/** Counting in one worker: plain numbers, which the supervisor turns into Prometheus metrics when it is asked. */
export class RequestCounts {
  readonly #requests: Record<string, number> = Object.create(null) as Record<string, number>;
  readonly #durations: Record<string, number[]> = Object.create(null) as Record<string, number[]>;
  readonly #upstream: Record<string, number> = Object.create(null) as Record<string, number>;
  readonly #upstreamUp: Record<string, number> = Object.create(null) as Record<string, number>;
  readonly #handshakes: Record<string, number> = Object.create(null) as Record<string, number>;
  readonly #connections: Record<string, number> = { http: 0, https: 0 };
  readonly #tunnels: Record<string, number> = Object.create(null) as Record<string, number>;
  readonly #cache: Record<string, number> = Object.create(null) as Record<string, number>;
  readonly #connectionsRefused: Record<string, number> = { http: 0, https: 0 };
  #sessionsEnded = 0;
  #inFlight = 0;

  began(): void {
    this.#inFlight++;
  }

  ended(
    site: string,
    handler: string,
    protocol: string,
    method: string,
    status: number,
    seconds: number,
  ): void {
    this.#inFlight--;
    const known = METHODS.has(method) ? method : "other";
    count(this.#requests, `${site}\t${protocol}\t${known}\t${status}`);
    const key = `${site}\t${handler}`;
    let buckets = this.#durations[key];
    if (buckets === undefined) {
      buckets = Array.from({ length: DURATION_BUCKETS.length + 2 }, () => 0);
      this.#durations[key] = buckets;
    }
    let index = 0;
    while (index < DURATION_BUCKETS.length && seconds > (DURATION_BUCKETS[index] as number)) index++;
    buckets[index] = (buckets[index] as number) + 1;
    const last = buckets.length - 1;
    buckets[last] = (buckets[last] as number) + seconds;
  }

  upstream(name: string, outcome: string): void {
    count(this.#upstream, `${name}\t${outcome}`);
    if (outcome !== "client_gone") this.#upstreamUp[name] = outcome === "ok" ? 1 : 0;
  }

  cache(site: string, outcome: string): void {
    count(this.#cache, `${site}\t${outcome}`);
  }

  handshake(version: string, resumed: boolean): void {
    count(this.#handshakes, `${version}\t${resumed}`);
  }

  tunnel(upstream: string, change: 1 | -1): void {
    this.#tunnels[upstream] = (this.#tunnels[upstream] ?? 0) + change;
  }

  connection(listener: "http" | "https", change: 1 | -1): void {
    this.#connections[listener] = (this.#connections[listener] as number) + change;
  }

  connectionRefused(listener: "http" | "https"): void {
    this.#connectionsRefused[listener] = (this.#connectionsRefused[listener] as number) + 1;
  }

  sessionEnded(): void {
    this.#sessionsEnded++;
  }

  snapshot(loads: WorkerCounts["loads"], cacheBytes: WorkerCounts["cacheBytes"]): WorkerCounts {
    return {
      requests: { ...this.#requests },
      durations: Object.fromEntries(Object.entries(this.#durations).map(([key, value]) => [key, [...value]])),
      upstream: { ...this.#upstream },
      upstreamUp: { ...this.#upstreamUp },
      handshakes: { ...this.#handshakes },
      connections: { ...this.#connections },
      connectionsRefused: { ...this.#connectionsRefused },
      sessionsEnded: this.#sessionsEnded,
      inFlight: this.#inFlight,
      tunnels: { ...this.#tunnels },
      cache: { ...this.#cache },
      cacheBytes,
      loads,
    };
  }
}

function count(table: Record<string, number>, key: string): void {
  table[key] = (table[key] ?? 0) + 1;
}
