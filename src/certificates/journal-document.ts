import { advance, NO_TROUBLE, type Episode } from "./episode.ts";
import type { JournalEntry } from "./journal-event.ts";

/** A journal holds this many entries and bytes at most; the oldest make room. */
const MOST_ENTRIES = 200;
const MOST_BYTES = 256 * 1024;

const VERSION = 1;

/** One certificate's journal. What must not be lost when old entries make room stands beside them. */
export interface JournalDocument {
  readonly names: readonly string[];
  /** What is served, and since when. */
  readonly served: Extract<JournalEntry, { kind: "served" }> | null;
  readonly episode: Episode;
  /** The oldest first. */
  readonly entries: readonly JournalEntry[];
}

export function emptyJournal(names: readonly string[]): JournalDocument {
  return { names, served: null, episode: NO_TROUBLE, entries: [] };
}

/** Adds an entry; one that says what is known already changes nothing. */
export function withEntry(journal: JournalDocument, entry: JournalEntry): JournalDocument {
  const { served, episode } = journal;
  if (entry.kind === "ending" && episode.ending?.fingerprint === entry.fingerprint) return journal;
  if (
    entry.kind === "served" &&
    served !== null &&
    JSON.stringify(served.certificates) === JSON.stringify(entry.certificates)
  )
    return journal;
  return {
    names: journal.names,
    served: entry.kind === "served" ? entry : served,
    episode: advance(episode, entry),
    entries: [...journal.entries, entry].slice(-MOST_ENTRIES),
  };
}

/** A line about the whole, then a line for each entry. */
export function formatJournal({ names, served, episode, entries }: JournalDocument): string {
  const head = `${JSON.stringify({ version: VERSION, names, served, episode })}\n`;
  const lines: string[] = [];
  let bytes = Buffer.byteLength(head);
  for (const entry of entries.slice(-MOST_ENTRIES).toReversed()) {
    const line = `${JSON.stringify(entry)}\n`;
    bytes += Buffer.byteLength(line);
    if (bytes > MOST_BYTES) break;
    lines.push(line);
  }
  return head + lines.toReversed().join("");
}

/** @throws Error for anything that `formatJournal` does not write. */
export function parseJournal(text: string): JournalDocument {
  const [head = "", ...lines] = text.split("\n");
  if (lines.pop() !== "") throw new Error("the last line has no end");
  const { version, names, served, episode } = object(head, 1);
  if (version !== VERSION) throw new Error(`version ${JSON.stringify(version)} is unknown`);
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    throw new Error("line 1 has no names");
  const { failures, told, outbox } = (episode ?? {}) as Record<string, unknown>;
  if (typeof failures !== "number" || !Array.isArray(told) || !Array.isArray(outbox))
    throw new Error("line 1 has no episode");
  return {
    names,
    served: served as JournalDocument["served"],
    // One of a version that knew no rehearsals lacks a member.
    episode: { ...NO_TROUBLE, ...(episode as Episode) },
    entries: lines.map((line, index) => {
      const entry = object(line, index + 2);
      if (typeof entry["at"] !== "number" || typeof entry["kind"] !== "string")
        throw new Error(`line ${index + 2} is no entry`);
      return entry as unknown as JournalEntry;
    }),
  };
}

function object(line: string, number: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`line ${number} is not JSON`);
  }
  if (typeof value !== "object" || value === null) throw new Error(`line ${number} is no object`);
  return value as Record<string, unknown>;
}
