import { dirname } from "node:path";
import type { Logger } from "../../logging/logger.ts";
import type { DamagedFiles } from "../damaged.ts";
import { makePrivateFolder, readIfThere, writeDurably } from "../durable-file.ts";
import { sentenceOf } from "../sentences.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export interface IssuedEntry {
  readonly at: number;
  /** The file name of the set of names. */
  readonly set: string;
  /** Registered domains that it counts for; none where it was a renewal. */
  readonly domains: readonly string[];
}

export interface FailedEntry {
  readonly at: number;
  readonly name: string;
}

/** A CA's own refusal. */
export interface HoldEntry {
  readonly at: number;
  readonly until: number;
  /** The set that it is about; null for every order at this CA. */
  readonly set: string | null;
  readonly detail: string;
}

/** Times are milliseconds since the epoch. */
interface LedgerDocument {
  orders: number[];
  certificates: IssuedEntry[];
  failures: FailedEntry[];
  holds: HoldEntry[];
}

/** How long each is kept, which is twice the window that it counts in, and how many at most, the newest. */
const KEPT = {
  orders: { age: 6 * HOUR, most: 2_000 },
  certificates: { age: 14 * DAY, most: 20_000 },
  failures: { age: 2 * HOUR, most: 5_000 },
  holds: { age: 8 * DAY, most: 2_000 },
} as const;

/** What lies further ahead than this was written by a clock that was wrong, and goes at the next writing. */
const AHEAD = DAY;

const VERSION = 1;

/**
 * What one CA was asked for and gave, `ledger/CA.json`: one file that is replaced as a whole.
 *
 * It is read once. What is noted counts at once and is written soon after, by one writing at a time; a disk that does
 * not take it delays no order.
 */
export class Ledger {
  readonly #path: string;
  readonly #log: Logger;
  readonly #document: LedgerDocument;
  #writing: Promise<void> | null = null;
  #dirty = false;
  #failing = false;

  static async open(path: string, parts: { damaged: DamagedFiles; log: Logger }): Promise<Ledger> {
    const text = await readIfThere(path);
    const document = text === null ? empty() : parse(text);
    if (document === null)
      await parts.damaged.setAside(path, "not a ledger", "what this CA gave before is not counted");
    return new Ledger(path, parts.log, document ?? empty());
  }

  private constructor(path: string, log: Logger, document: LedgerDocument) {
    this.#path = path;
    this.#log = log;
    this.#document = document;
  }

  get orders(): readonly number[] {
    return this.#document.orders;
  }

  get certificates(): readonly IssuedEntry[] {
    return this.#document.certificates;
  }

  get failures(): readonly FailedEntry[] {
    return this.#document.failures;
  }

  get holds(): readonly HoldEntry[] {
    return this.#document.holds;
  }

  /** @param now milliseconds since the epoch */
  note<Kind extends keyof LedgerDocument>(
    kind: Kind,
    entry: LedgerDocument[Kind][number],
    now: number,
  ): void {
    (this.#document[kind] as unknown[]).push(entry);
    for (const each of Object.keys(KEPT) as Kind[]) this.#prune(each, now);
    this.#keep();
  }

  /** Forgets the refusals that spoke against an order of this set: the CA has taken one. */
  lift(set: string): void {
    const staying = this.#document.holds.filter((hold) => hold.set !== null && hold.set !== set);
    if (staying.length === this.#document.holds.length) return;
    this.#document.holds = staying;
    this.#keep();
  }

  /** Resolves when all that can be written has been written. */
  async written(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  #keep(): void {
    this.#dirty = true;
    this.#writing ??= this.#write().finally(() => (this.#writing = null));
  }

  #prune<Kind extends keyof LedgerDocument>(kind: Kind, now: number): void {
    const { age, most } = KEPT[kind];
    const entries: readonly (number | { readonly at: number })[] = this.#document[kind];
    const kept = entries.filter((entry) => {
      const at = typeof entry === "number" ? entry : entry.at;
      return at > now - age && at <= now + AHEAD;
    });
    this.#document[kind] = kept.slice(-most) as LedgerDocument[Kind];
  }

  async #write(): Promise<void> {
    try {
      while (this.#dirty) {
        this.#dirty = false;
        await makePrivateFolder(dirname(this.#path));
        await writeDurably(this.#path, `${JSON.stringify({ version: VERSION, ...this.#document })}\n`);
        this.#failing = false;
      }
    } catch (error) {
      if (!this.#failing)
        this.#log.warn({ err: error }, `what CAs were asked for is not written down: ${sentenceOf(error)}`);
      this.#failing = true;
    }
  }
}

function empty(): LedgerDocument {
  return { orders: [], certificates: [], failures: [], holds: [] };
}

/** Null where it is none; an entry that is none is left out. */
function parse(text: string): LedgerDocument | null {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
  if (typeof document !== "object" || document === null || document["version"] !== VERSION) return null;
  const list = (kind: keyof LedgerDocument): Record<string, unknown>[] => {
    const entries: unknown = document[kind];
    const objects = (Array.isArray(entries) ? (entries as unknown[]) : []).filter(
      (entry): entry is Record<string, unknown> => typeof entry === "object" && entry !== null,
    );
    return objects.filter(({ at }) => typeof at === "number");
  };
  const orders: unknown = document["orders"];
  return {
    orders: (Array.isArray(orders) ? (orders as unknown[]) : []).filter((at) => typeof at === "number"),
    certificates: list("certificates").filter(
      (entry) => typeof entry["set"] === "string" && Array.isArray(entry["domains"]),
    ) as unknown as IssuedEntry[],
    failures: list("failures").filter(({ name }) => typeof name === "string") as unknown as FailedEntry[],
    holds: list("holds").filter(({ until }) => typeof until === "number") as unknown as HoldEntry[],
  };
}
