import type { UpstreamConfiguration } from "../config/configuration.ts";
import type { Deadlines } from "../exchange/deadlines.ts";
import { Upstream, type BackendChange } from "./upstream.ts";

/** What the metrics and the supervisor want to know of one upstream in one worker. */
export interface UpstreamLoad {
  /** Requests at the app. */
  readonly inFlight: number;
  /** Requests in the queue. */
  readonly waiting: number;
  /** Requests that wait for the app to come back; a part of `inFlight`. */
  readonly held: number;
}

/** The upstreams of one worker, by name. One whose configuration a reload leaves as it was is kept as it is. */
export class Upstreams {
  readonly #deadlines: Deadlines;
  readonly #changed: (change: BackendChange) => void;
  #all = new Map<string, { upstream: Upstream; key: string }>();

  constructor(deadlines: Deadlines, changed: (change: BackendChange) => void) {
    this.#deadlines = deadlines;
    this.#changed = changed;
  }

  /** `sites`: each with its first name, which a health check without a host of its own asks for. */
  configure(
    sites: readonly { readonly upstream: UpstreamConfiguration | null; readonly names: readonly string[] }[],
  ): void {
    const before = this.#all;
    this.#all = new Map();
    for (const { upstream: configuration, names } of sites) {
      if (configuration === null || this.#all.has(configuration.name)) continue;
      const host = names[0] as string;
      const key = JSON.stringify([configuration, host]);
      const same = before.get(configuration.name);
      if (same?.key === key) {
        before.delete(configuration.name);
        this.#all.set(configuration.name, same);
      } else {
        const upstream = new Upstream(configuration, host, this.#deadlines, this.#changed);
        this.#all.set(configuration.name, { upstream, key });
      }
    }
    // Requests that the others have go on; no new ones come.
    for (const { upstream } of before.values()) upstream.close();
  }

  get(name: string): Upstream {
    return (this.#all.get(name) as { upstream: Upstream }).upstream;
  }

  loads(): Record<string, UpstreamLoad> {
    return Object.fromEntries(
      [...this.#all].map(([name, { upstream }]) => [
        name,
        {
          inFlight: upstream.admission.inFlight,
          waiting: upstream.admission.waiting,
          held: upstream.hold.size,
        },
      ]),
    );
  }

  close(): void {
    for (const { upstream } of this.#all.values()) upstream.close();
  }
}
