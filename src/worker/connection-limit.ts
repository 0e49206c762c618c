import type { LimitConfiguration } from "../config/configuration.ts";
import { addressKey } from "../handlers/protection/client-key.ts";

/** How often what is told is told again, for workers that started meanwhile, milliseconds. */
const REPEAT = 1000;

/**
 * Open connections by client address, and the limit on them. It holds for all workers together: each counts its own
 * and is told the others' (`RateLimits` says why it is done so). A client that has next to none at a worker is not
 * told of, so that a report is short however many clients there are; by that the limit can be passed by an eighth.
 */
export class ConnectionLimit {
  readonly #open = new Map<string, number>();
  /** Worker to client to connections. */
  readonly #elsewhere = new Map<number, Readonly<Record<string, number>>>();
  #limit = Infinity;
  #worthTelling = Infinity;
  #told = "{}";
  #toldAt = 0;

  /** Connections that are open stay open, also where there are more than a new limit. */
  configure({ connectionsPerAddress }: LimitConfiguration, workers: number): void {
    this.#limit = connectionsPerAddress ?? Infinity;
    this.#worthTelling = workers > 1 ? Math.max(1, this.#limit / (8 * workers)) : Infinity;
  }

  /** False where the client has as many as it may; else it has one more. */
  opened(address: string): boolean {
    // Counted without a limit too: a reload may set one.
    const key = addressKey(address);
    const own = this.#open.get(key) ?? 0;
    if (own >= this.#limit) return false;
    let all = own;
    for (const counts of this.#elsewhere.values()) all += counts[key] ?? 0;
    if (all >= this.#limit) return false;
    this.#open.set(key, own + 1);
    return true;
  }

  closed(address: string): void {
    const key = addressKey(address);
    const left = (this.#open.get(key) ?? 0) - 1;
    if (left > 0) this.#open.set(key, left);
    else this.#open.delete(key);
  }

  /** The clients that the others must know of; null where they know. */
  report(now = performance.now()): Record<string, number> | null {
    if (this.#worthTelling === Infinity) return null;
    const counts: Record<string, number> = {};
    for (const [key, open] of this.#open) if (open >= this.#worthTelling) counts[key] = open;
    const told = JSON.stringify(counts);
    if (told === this.#told && (told === "{}" || now - this.#toldAt < REPEAT)) return null;
    this.#told = told;
    this.#toldAt = now;
    return counts;
  }

  /** What another worker has open; the empty object when it has ended. */
  setElsewhere(worker: number, counts: Readonly<Record<string, number>>): void {
    if (Object.keys(counts).length === 0) this.#elsewhere.delete(worker);
    else this.#elsewhere.set(worker, counts);
  }
}
