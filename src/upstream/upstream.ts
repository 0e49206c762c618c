import type { UpstreamConfiguration } from "../config/configuration.ts";
import type { Deadlines } from "../exchange/deadlines.ts";
import { proxyHeader } from "../proxy-protocol/write.ts";
import { Admission } from "./admission.ts";
import { Backend } from "./backend.ts";
import type { UpstreamConnection } from "./connection.ts";
import { explain, mayPass, type UpstreamFailure } from "./failure.ts";
import { HealthCheck } from "./health-check.ts";
import { RestartHold } from "./restart-hold.ts";

/** While others serve, one request tries a backend that is down this often, milliseconds. */
const TRIAL_INTERVAL = 1000;

/** A backend's change of state, for the log. */
export interface BackendChange {
  readonly upstream: string;
  readonly backend: string;
  readonly state: "up" | "down" | "healthy" | "unhealthy";
  /** Why, and what to do; the empty string where there is nothing to say. */
  readonly cause: string;
}

/**
 * An app as one worker sees it: who may go to it (admission), to which of its addresses (the one with the fewest
 * requests in flight), and what happens while it is not there (hold).
 */
export class Upstream {
  readonly configuration: UpstreamConfiguration;
  readonly admission: Admission;
  readonly hold: RestartHold;
  /** Why the app was not there the last time. */
  lastFailure: UpstreamFailure | null = null;
  readonly #backends: readonly Backend[];
  readonly #checks: readonly HealthCheck[];
  /** When a backend that is down is to be tried again. */
  readonly #trials = new Map<Backend, number>();
  #turn = 0;

  /** `host`: what a health check without a host of its own asks for. */
  constructor(
    configuration: UpstreamConfiguration,
    host: string,
    deadlines: Deadlines,
    changed: (change: BackendChange) => void,
  ) {
    this.configuration = configuration;
    this.admission = new Admission(configuration, deadlines);
    // Nothing goes before the supervisor has said what this worker's part of the number is.
    if (configuration.maxConcurrent !== null) this.admission.limit = 0;
    const report = (backend: Backend, state: BackendChange["state"], cause = ""): void =>
      changed({ upstream: configuration.name, backend: backend.name, state, cause });
    this.#backends = configuration.to.map((address) => {
      const backend: Backend = new Backend(address, configuration, deadlines, (state, failure) => {
        report(backend, state, failure === null ? "" : explain(failure));
        if (state === "up") this.hold.release();
      });
      return backend;
    });
    this.hold = new RestartHold(() => {
      const since = Math.max(...this.#backends.map(({ downSince }) => downSince));
      return since + configuration.restartGrace;
    });
    const { healthCheck } = configuration;
    this.#checks =
      healthCheck === null
        ? []
        : this.#backends.map(
            (backend) =>
              new HealthCheck(
                backend,
                { ...healthCheck, host: healthCheck.host ?? host },
                configuration.proxyProtocol === null
                  ? null
                  : proxyHeader(configuration.proxyProtocol, "127.0.0.1"),
                (state) => report(backend, state),
              ),
          );
  }

  get name(): string {
    return this.configuration.name;
  }

  /**
   * A connection for one request, and its backend; null when no backend is there and the request is to be held.
   * `trial`: this one looks whether the app is back. MUST be followed by `backend.inFlight--` when it is done.
   */
  take(
    fresh: boolean,
    trial: boolean,
    clientAddress: string,
  ): { backend: Backend; connection: UpstreamConnection } | null {
    const backend = this.#choose(trial);
    if (backend === null) return null;
    const { proxyProtocol } = this.configuration;
    const preamble = proxyProtocol === null ? null : proxyHeader(proxyProtocol, clientAddress);
    return { backend, connection: backend.take(fresh, preamble) };
  }

  /** Learns from a failure; true when the request may be held for the app's return. */
  failed(backend: Backend, failure: UpstreamFailure): boolean {
    this.lastFailure = failure;
    if (failure.kind === "connect" || failure.untouched) {
      backend.down(failure);
      this.#trials.set(backend, Date.now() + TRIAL_INTERVAL);
    }
    return mayPass(failure);
  }

  /** Whether another backend may take at once what one has just refused. */
  get hasOther(): boolean {
    return this.#backends.some(({ state, healthy }) => state !== "down" && healthy);
  }

  close(): void {
    for (const check of this.#checks) check.close();
    for (const backend of this.#backends) backend.close();
  }

  #choose(trial: boolean): Backend | null {
    const now = Date.now();
    let best: Backend | null = null;
    const { length } = this.#backends;
    // Another first one each time, so that equals share.
    this.#turn = (this.#turn + 1) % length;
    for (let index = 0; index < length; index++) {
      const backend = this.#backends[(this.#turn + index) % length] as Backend;
      if (!this.#usable(backend, now)) continue;
      if (best === null || backend.inFlight < best.inFlight) best = backend;
    }
    if (best !== null) {
      if (best.state === "down") this.#trials.set(best, now + TRIAL_INTERVAL);
      return best;
    }
    // All are down. Within the grace the hold asks, one request at a time; after it each finds out for itself.
    const [first] = this.#backends as [Backend];
    const heldUntil = first.downSince + this.configuration.restartGrace;
    return !trial && this.hold.size > 0 && now < heldUntil ? null : this.#leastBad();
  }

  #usable(backend: Backend, now: number): boolean {
    if (!backend.healthy) return false;
    if (backend.state !== "down") return true;
    return this.#backends.length > 1 && (this.#trials.get(backend) ?? 0) <= now;
  }

  /** One that is merely unhealthy before one that is down. */
  #leastBad(): Backend {
    const there = this.#backends.find(({ state }) => state !== "down");
    return there ?? (this.#backends[this.#turn] as Backend);
  }
}
