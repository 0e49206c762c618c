import { join } from "node:path";
import type { Logger } from "../logging/logger.ts";
import type { DamagedFiles } from "./damaged.ts";
import { readIfThere, writeDurably } from "./durable-file.ts";
import { setKey } from "./file-name.ts";
import { sentenceOf } from "./sentences.ts";
import type { RehearsalStatus } from "./status.ts";

/** What is known of the rehearsals of one set of names. Times are milliseconds since the epoch. */
export interface RehearsalRecord {
  /** The last one that said something about the site. */
  readonly last: RehearsalStatus | null;
  /** When the last one ended, also one that said nothing. */
  readonly triedAt: number | null;
  /** Issuers whose last order failed for a reason that lies with the site. */
  readonly suspect: readonly string[];
}

/** What the way from a CA to the sites depends on, as a digest, and when it changed. */
export interface Circumstances {
  readonly digest: string | null;
  readonly changedAt: number | null;
}

const NOTHING: RehearsalRecord = { last: null, triedAt: null, suspect: [] };

/**
 * `rehearsals.json` in the storage: what must outlive a restart, so that none rehearses each time, and that a
 * container which restarts again and again does not order at production each time.
 *
 * One file for all: of ten thousand certificates only those that were rehearsed are in it.
 */
export class RehearsalRecords {
  readonly #path: string;
  readonly #log: Logger;
  readonly #records: Map<string, RehearsalRecord>;
  #circumstances: Circumstances;
  #writing: Promise<void> = Promise.resolve();
  #dirty = false;
  #failing = false;

  /** @throws PaddockError `storage.failed` where the storage itself cannot be read. */
  static async open(options: {
    storage: string;
    log: Logger;
    damaged: DamagedFiles;
  }): Promise<RehearsalRecords> {
    const path = join(options.storage, "rehearsals.json");
    const text = await readIfThere(path);
    let known: ReturnType<typeof parse> | null = null;
    try {
      known = text === null ? null : parse(text);
    } catch (reason) {
      await options.damaged.setAside(path, reason, "rehearsals begin anew");
    }
    return new RehearsalRecords(path, options.log, known);
  }

  private constructor(path: string, log: Logger, known: ReturnType<typeof parse> | null) {
    this.#path = path;
    this.#log = log;
    this.#records = new Map(known?.records);
    this.#circumstances = known?.circumstances ?? { digest: null, changedAt: null };
  }

  of(names: readonly string[]): RehearsalRecord {
    return this.#records.get(setKey(names)) ?? NOTHING;
  }

  get circumstances(): Circumstances {
    return this.#circumstances;
  }

  /** Takes note of a rehearsal that has ended. */
  note(names: readonly string[], status: RehearsalStatus): void {
    const before = this.of(names);
    const last = status.outcome === "unavailable" ? before.last : status;
    this.#set(names, { ...before, last, triedAt: status.at });
  }

  /** An order at `issuer` failed for a reason that lies with the site. */
  suspect(names: readonly string[], issuer: string): void {
    const before = this.of(names);
    if (!before.suspect.includes(issuer))
      this.#set(names, { ...before, suspect: [...before.suspect, issuer] });
  }

  /** The site was mended, as an order or a rehearsal has shown. */
  trust(names: readonly string[], issuer: string): void {
    const before = this.of(names);
    if (before.suspect.includes(issuer))
      this.#set(names, { ...before, suspect: before.suspect.filter((other) => other !== issuer) });
  }

  /** Those of a first start are no change. */
  settleIn(digest: string, now: number): void {
    const { digest: before } = this.#circumstances;
    if (digest === before) return;
    this.#circumstances = { digest, changedAt: before === null ? null : now };
    this.#save();
  }

  /** How many rehearsals have ended after `since`. */
  countSince(since: number): number {
    let count = 0;
    for (const { triedAt } of this.#records.values()) if (triedAt !== null && triedAt > since) count += 1;
    return count;
  }

  /** Forgets the other ones; in the file with the next change. */
  keepOnly(sets: Iterable<readonly string[]>): void {
    const wanted = new Set([...sets].map(setKey));
    for (const key of this.#records.keys()) if (!wanted.has(key)) this.#records.delete(key);
  }

  /** Resolves when what was noted is on disk, or could not be written. */
  async written(): Promise<void> {
    await this.#writing;
  }

  #set(names: readonly string[], record: RehearsalRecord): void {
    this.#records.set(setKey(names), record);
    this.#save();
  }

  /** What changes while a writing is under way goes into one more. */
  #save(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    const document = {
      version: VERSION,
      circumstances: this.#circumstances,
      records: Object.fromEntries(this.#records),
    };
    try {
      await writeDurably(this.#path, `${JSON.stringify(document)}\n`);
      this.#failing = false;
    } catch (error) {
      // Once: a full disk must not fill the log as well.
      if (!this.#failing) this.#log.warn({ err: error }, `rehearsals are not noted: ${sentenceOf(error)}`);
      this.#failing = true;
    }
  }
}

const VERSION = 1;

/** @throws Error for what `#write` does not write. */
function parse(text: string): { records: [string, RehearsalRecord][]; circumstances: Circumstances } {
  const document = JSON.parse(text) as Record<string, unknown> | null;
  const { version, circumstances, records } = document ?? {};
  if (version !== VERSION) throw new Error(`version ${JSON.stringify(version)} is unknown`);
  if (!isObject(circumstances) || !isObject(records)) throw new Error("incomplete");
  return {
    circumstances: circumstances as unknown as Circumstances,
    records: Object.entries(records).map(([key, record]) => {
      if (!isObject(record) || !Array.isArray(record["suspect"])) throw new Error("a record is incomplete");
      return [key, record as unknown as RehearsalRecord];
    }),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
