import { join } from "node:path";
import type { Clock, Timer } from "../../clock.ts";
import { isOnDemandName } from "../../config/on-demand-name.ts";
import type { Logger } from "../../logging/logger.ts";
import type { DamagedFiles } from "../damaged.ts";
import { readIfThere, writeDurably } from "../durable-file.ts";
import { sentenceOf } from "../sentences.ts";

const VERSION = 1;
/** How long a new time of use may wait to be written down, milliseconds: it counts in days. */
const SOON = 600_000;

export interface NameLimit {
  /** Names in `per` milliseconds. */
  readonly requests: number;
  readonly per: number;
}

/**
 * The names that got or are getting a certificate on demand, when each was used last, and when the last ones began:
 * `on-demand.json` in the storage. The limit holds over restarts by it, and an order under way is taken up again.
 *
 * One file: names are added as fast as the limit lets them, so a file of hundreds of kilobytes is written a few times an
 * hour. (Rejected: to tell by the certificates themselves, which would mix them up with those of former sites.)
 */
export class RememberedNames {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Name to its last use, milliseconds since the epoch. */
  readonly #used: Map<string, number>;
  /** When names were added, of late. */
  #begun: number[];
  #writing: Promise<void> = Promise.resolve();
  #timer: Timer | null = null;

  /** @throws PaddockError `storage.failed` */
  static async open(options: {
    storage: string;
    damaged: DamagedFiles;
    clock: Clock;
    log: Logger;
  }): Promise<RememberedNames> {
    const { storage, damaged, clock, log } = options;
    const path = join(storage, "on-demand.json");
    const text = await readIfThere(path);
    let document: Document = { names: new Map(), begun: [] };
    try {
      if (text !== null) document = parse(text);
    } catch (reason) {
      await damaged.setAside(path, reason, "names on demand are asked for again");
    }
    return new RememberedNames(path, clock, log, document);
  }

  private constructor(path: string, clock: Clock, log: Logger, { names, begun }: Document) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
    this.#used = names;
    this.#begun = begun;
  }

  get names(): string[] {
    return [...this.#used.keys()];
  }

  /** Milliseconds since the epoch. */
  usedAt(name: string): number {
    return this.#used.get(name) ?? 0;
  }

  /** 0 where one more name may begin now, else the milliseconds until it may. */
  wait({ requests, per }: NameLimit): number {
    const now = this.#clock.now();
    // What lies ahead was noted before the clock was set back.
    const recent = this.#begun.filter((at) => at <= now && at > now - per);
    const blocking = recent.at(-requests);
    return blocking === undefined ? 0 : blocking + per - now;
  }

  /** On disk once it resolves, unless the disk refuses, which is logged: the order goes on all the same. */
  async add(name: string, { requests }: NameLimit): Promise<void> {
    const now = this.#clock.now();
    this.#used.set(name, now);
    this.#begun = [...this.#begun, now].slice(-requests);
    await this.#write();
  }

  /** Takes down that these are in use; written a little later. */
  use(name: string): void {
    if (!this.#used.has(name)) return;
    this.#used.set(name, this.#clock.now());
    this.#timer ??= this.#clock.setTimer(SOON, () => void this.#write());
  }

  async remove(name: string): Promise<void> {
    if (this.#used.delete(name)) await this.#write();
  }

  /** Writes what waits to be written. */
  async close(): Promise<void> {
    if (this.#timer !== null) await this.#write();
    await this.#writing;
  }

  #write(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#writing = this.#writing
      .then(() => writeDurably(this.#path, this.#text()))
      .catch((error: unknown) =>
        this.#log.warn(
          { err: error },
          `the names on demand were not written down: ${sentenceOf(error)} After a restart the app is asked for them again.`,
        ),
      );
    return this.#writing;
  }

  #text(): string {
    const document = { version: VERSION, begun: this.#begun, names: Object.fromEntries(this.#used) };
    return `${JSON.stringify(document, null, 1)}\n`;
  }
}

interface Document {
  readonly names: Map<string, number>;
  readonly begun: number[];
}

function parse(text: string): Document {
  const { version, names, begun } = JSON.parse(text) as Record<string, unknown>;
  if (version !== VERSION) throw new Error(`version ${JSON.stringify(version)} is unknown`);
  if (typeof names !== "object" || names === null || !Array.isArray(begun)) throw new Error("incomplete");
  const used = Object.entries(names).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number" && isOnDemandName(entry[0], true),
  );
  return { names: new Map(used), begun: begun.filter((at) => typeof at === "number") };
}
