import type { SiteConfiguration } from "../../config/configuration.ts";
import { keyMatcher } from "./cache-key.ts";
import { SiteCache } from "./site-cache.ts";

export interface CachesEvents {
  readonly counted: (site: string, outcome: string) => void;
  readonly refused: (site: string, target: string, reason: string) => void;
}

/** Site to keys that unsafe requests have made invalid. */
export type InvalidatedKeys = Readonly<Record<string, readonly string[]>>;

/**
 * The caches of one worker, by site. One whose configuration a reload leaves as it was is kept with what is in it.
 *
 * Each worker has its own, with its part of the memory: workers share nothing but messages, and to ask another process
 * for a page costs what the page costs. A page is so fetched once by each worker, and kept by each that is asked for it.
 */
export class Caches {
  readonly #events: CachesEvents;
  #all = new Map<string, { cache: SiteCache; key: string }>();
  #invalidated = new Map<string, string[]>();

  constructor(events: CachesEvents) {
    this.#events = events;
  }

  configure(sites: readonly SiteConfiguration[], workers: number): void {
    const before = this.#all;
    this.#all = new Map();
    for (const { names, cache: configuration, upstream, compress } of sites) {
      if (configuration === null || upstream === null) continue;
      const site = names[0];
      const memory = Math.floor(configuration.memory / workers);
      const key = JSON.stringify([memory, compress, upstream.to]);
      const same = before.get(site);
      if (same?.key === key) this.#all.set(site, same);
      else this.#all.set(site, { cache: this.#make(site, memory, compress), key });
    }
  }

  /** Null for a site without one. */
  get(site: string): SiteCache | null {
    return this.#all.get(site)?.cache ?? null;
  }

  /** `pattern`: as keyMatcher takes it; null for everything. */
  purge(site: string, pattern: string | null): void {
    this.get(site)?.purge(pattern === null ? () => true : keyMatcher(pattern));
  }

  /** What has been made invalid since the last report, for the other workers; null for nothing. */
  report(): InvalidatedKeys | null {
    if (this.#invalidated.size === 0) return null;
    const keys = Object.fromEntries(this.#invalidated);
    this.#invalidated = new Map();
    return keys;
  }

  /** What another worker reported. */
  invalidate(invalidated: InvalidatedKeys): void {
    for (const [site, list] of Object.entries(invalidated)) {
      const keys = new Set(list);
      this.get(site)?.purge((key) => keys.has(key));
    }
  }

  /** By site. */
  bytes(): Record<string, number> {
    return Object.fromEntries([...this.#all].map(([site, { cache }]) => [site, cache.bytes]));
  }

  #make(site: string, memory: number, compress: boolean): SiteCache {
    return new SiteCache({
      memory,
      compress,
      counted: (outcome) => this.#events.counted(site, outcome),
      refused: (target, reason) => this.#events.refused(site, target, reason),
      invalidated: (keys) => {
        const before = this.#invalidated.get(site);
        if (before === undefined) this.#invalidated.set(site, [...keys]);
        else before.push(...keys);
      },
    });
  }
}
