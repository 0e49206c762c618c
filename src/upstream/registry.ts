import type { UpstreamConfiguration } from "../config/configuration.ts";
import type { Deadlines } from "../exchange/deadlines.ts";
import type { UpstreamLoad } from "../metrics/request-counts.ts";
import { Upstream, type BackendChange } from "./upstream.ts";

interface Entry {
  readonly configuration: UpstreamConfiguration;
  readonly host: string;
  readonly key: string;
  /** Null until somebody asks for it. */
  upstream: Upstream | null;
  /** What the supervisor said before that; null for nothing. */
  limit: number | null;
}

const IDLE: UpstreamLoad = { inFlight: 0, waiting: 0, held: 0 };

function loadOf({ admission, hold }: Upstream): UpstreamLoad {
  return { inFlight: admission.inFlight, waiting: admission.waiting, held: hold.size };
}

/**
 * The upstreams of one worker, by name. One whose configuration a reload leaves as it was is kept as it is. One that
 * nobody has asked for yet is not made, unless its health is watched: of ten thousand most are idle.
 */
export class Upstreams {
  readonly #deadlines: Deadlines;
  readonly #changed: (change: BackendChange) => void;
  #all = new Map<string, Entry>();

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
        const entry: Entry = { configuration, host, key, upstream: null, limit: null };
        this.#all.set(configuration.name, entry);
        if (configuration.healthCheck !== null) this.#made(entry);
      }
    }
    // Requests that the others have go on; no new ones come.
    for (const { upstream } of before.values()) upstream?.close();
  }

  get(name: string): Upstream {
    return this.#made(this.#all.get(name) as Entry);
  }

  /** Of those that have anything to do or have had. */
  loads(): Record<string, UpstreamLoad> {
    const loads: Record<string, UpstreamLoad> = {};
    for (const [name, { upstream }] of this.#all) if (upstream !== null) loads[name] = loadOf(upstream);
    return loads;
  }

  /** As loads, and zeros for those that nobody has asked for. */
  allLoads(): Record<string, UpstreamLoad> {
    const entries = [...this.#all].map(([name, { upstream }]) => [
      name,
      upstream === null ? IDLE : loadOf(upstream),
    ]);
    return Object.fromEntries(entries) as Record<string, UpstreamLoad>;
  }

  /** Requests at a time that this worker may send. */
  setLimit(name: string, limit: number): void {
    const known = this.#all.get(name);
    if (known === undefined) return;
    if (known.upstream === null) known.limit = limit;
    else known.upstream.admission.limit = limit;
  }

  close(): void {
    for (const { upstream } of this.#all.values()) upstream?.close();
  }

  #made(entry: Entry): Upstream {
    if (entry.upstream !== null) return entry.upstream;
    const upstream = new Upstream(entry.configuration, entry.host, this.#deadlines, this.#changed);
    if (entry.limit !== null) upstream.admission.limit = entry.limit;
    entry.upstream = upstream;
    return upstream;
  }
}
