import { isOnDemandName } from "../config/on-demand-name.ts";
import type { Configuration, OnDemandConfiguration } from "../config/configuration.ts";
import { addressKey } from "../handlers/protection/client-key.ts";

/** Refused names that are kept; the oldest goes first. */
const MOST_REFUSED = 10_000;
/** Names that the supervisor is asked about at a time. */
const MOST_NAMES = 200;
/** Handshakes that wait, in all and of one client address; each holds a connection and some 50 KB. */
const MOST_WAITING = 500;
const MOST_OF_CLIENT = 32;

interface Waiting {
  readonly client: string | null;
  readonly done: () => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Handshakes of one worker that wait for a certificate on demand. What is refused at once is refused here, without
 * anybody being asked: what is no name, what was refused a moment ago, and what comes from too many.
 */
export class WantedNames {
  readonly #ask: (name: string, client: string | null) => void;
  /** Name to when it may be asked about again, milliseconds since the start of the process. */
  readonly #refused = new Map<string, number>();
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #ofClient = new Map<string, number>();
  #settings: OnDemandConfiguration | null = null;
  #count = 0;

  /** `ask`: tells the supervisor, which answers by `answered`; with the client's key, or null for a proxy's. */
  constructor(ask: (name: string, client: string | null) => void) {
    this.#ask = ask;
  }

  configure({ sites }: Configuration): void {
    this.#settings = sites.find(({ onDemand }) => onDemand !== null)?.onDemand ?? null;
    this.#refused.clear();
  }

  /**
   * `done` is called once: when every worker has the certificate, when there will be none, or when the longest wait is
   * over.
   *
   * @param address of the client; null for a proxy's, who stands for many.
   * @returns takes it back; or null where the name is refused now, and `done` is never called.
   */
  wait(name: string, address: string | null, done: () => void): { readonly cancel: () => void } | null {
    const settings = this.#settings;
    const client = address === null ? null : addressKey(address);
    if (settings === null || !this.#mayWait(name, client, settings)) return null;
    let waiting = this.#waiting.get(name);
    const isFirst = waiting === undefined;
    waiting ??= new Set();
    this.#waiting.set(name, waiting);
    const one: Waiting = { client, done, timer: setTimeout(() => this.#end(waiting, one), settings.wait) };
    waiting.add(one);
    this.#count += 1;
    if (client !== null) this.#ofClient.set(client, (this.#ofClient.get(client) ?? 0) + 1);
    if (isFirst) this.#ask(name, client);
    return { cancel: () => this.#leave(waiting, one) };
  }

  /** `holds`: milliseconds for which the name is refused from now on; 0 where it is served. */
  answered(name: string, holds: number): void {
    const waiting = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (holds > 0) {
      this.#refused.delete(name);
      this.#refused.set(name, performance.now() + holds);
      for (const oldest of this.#refused.keys()) {
        if (this.#refused.size <= MOST_REFUSED) break;
        this.#refused.delete(oldest);
      }
    }
    for (const one of waiting ?? []) this.#end(waiting as Set<Waiting>, one);
  }

  #mayWait(name: string, client: string | null, { local }: OnDemandConfiguration): boolean {
    const until = this.#refused.get(name);
    if (until !== undefined) {
      if (performance.now() < until) return false;
      this.#refused.delete(name);
    }
    if (this.#count >= MOST_WAITING) return false;
    if (client !== null && (this.#ofClient.get(client) ?? 0) >= MOST_OF_CLIENT) return false;
    if (!this.#waiting.has(name) && this.#waiting.size >= MOST_NAMES) return false;
    return isOnDemandName(name, local);
  }

  #end(waiting: Set<Waiting>, one: Waiting): void {
    if (this.#leave(waiting, one)) one.done();
  }

  /** The name stays until the supervisor has answered, so that the next client joins what is under way. */
  #leave(waiting: Set<Waiting>, one: Waiting): boolean {
    if (!waiting.delete(one)) return false;
    clearTimeout(one.timer);
    this.#count -= 1;
    if (one.client === null) return true;
    const left = (this.#ofClient.get(one.client) ?? 0) - 1;
    if (left > 0) this.#ofClient.set(one.client, left);
    else this.#ofClient.delete(one.client);
    return true;
  }
}
