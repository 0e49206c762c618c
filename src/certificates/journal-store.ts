import { join } from "node:path";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logging/logger.ts";
import type { DamagedFiles } from "./damaged.ts";
import { listFolder, makePrivateFolder, readIfThere, removeDurably, writeDurably } from "./durable-file.ts";
import { begin, deliverable, reached, settle, tell, type PendingNotice } from "./episode.ts";
import { fileNameForSet, setKey } from "./file-name.ts";
import {
  emptyJournal,
  formatJournal,
  parseJournal,
  withEntry,
  type JournalDocument,
} from "./journal-document.ts";
import type { CertificateJournal, JournalEntry, NoticeReason } from "./journal-event.ts";
import { journalText } from "./journal-text.ts";
import type { Delivery, Notice, Notifier } from "./notice.ts";
import { sentenceOf } from "./sentences.ts";

/** Journals written at a time; Node has four threads for files and keys, and orders need some of them. */
const AT_ONCE = 2;
/** Entries of one journal that wait for a disk which takes them again. */
const MOST_WAITING = 50;

/** What is not on disk yet of one journal. */
interface Unwritten {
  readonly names: readonly string[];
  /** Recorded since the last writing began. */
  waiting: JournalEntry[];
  /** Of deliveries, since then. */
  rounds: Round[];
  /** What a writing that failed would have kept: entries, and what stands beside them. */
  failed: Pick<JournalDocument, "served" | "episode" | "entries"> | null;
  writing: boolean;
}

/** A step of a round of delivery. */
type Round = { readonly reason: NoticeReason } & (
  | { readonly step: "begun" }
  | { readonly step: "reached"; readonly channel: string }
  | { readonly step: "ended"; readonly complete: boolean }
);

/**
 * The flight recorders: `journal/NAME-DIGEST.jsonl`, one for each set of names, whoever issues it.
 *
 * A journal is replaced as a whole (temporary name, sync, rename), so that no entry is ever there by half; what is
 * recorded while one is written goes into the next writing. Between writings nothing of it is in memory. (Rejected:
 * appending, which needs the reader to tell a torn last line from damage, and a second way to make room.)
 */
export class JournalStore {
  /** Null: nobody is told. */
  notifier: Notifier | null = null;
  readonly #folder: string;
  readonly #damaged: DamagedFiles;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #unwritten = new Map<string, Unwritten>();
  readonly #due = new Set<string>();
  /** `REASON NAMES` of rounds that are under way. */
  readonly #delivering = new Set<string>();
  #working = 0;
  #idle: PromiseWithResolvers<void> | null = null;
  #failing = false;
  #prepared: Promise<void> | null = null;

  constructor(options: { storage: string; damaged: DamagedFiles; clock: Clock; log: Logger }) {
    this.#folder = join(options.storage, "journal");
    this.#damaged = options.damaged;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** The journal of a certificate for `names`, in whatever order. */
  of(names: readonly string[]): CertificateJournal {
    return {
      record: (event) => {
        const unwritten = this.#unwrittenOf(names);
        unwritten.waiting = [...unwritten.waiting, { at: this.#clock.now(), ...event }].slice(-MOST_WAITING);
        this.#enqueue(setKey(names));
      },
    };
  }

  /** What is on disk, once what was recorded has been written. Empty where there is none. */
  async read(names: readonly string[]): Promise<JournalDocument> {
    await this.written();
    const journal = await this.#load(names);
    return withFailed(journal, this.#unwritten.get(setKey(names)));
  }

  /** The whole journal; nothing may be recorded in it any more. */
  async remove(names: readonly string[]): Promise<void> {
    await this.written();
    this.#unwritten.delete(setKey(names));
    await removeDurably(this.#path(names));
  }

  /** Resolves when all that can be written has been written. */
  async written(): Promise<void> {
    if (this.#working === 0 && this.#due.size === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  /** Writes again what a full disk did not take. */
  retry(): void {
    for (const key of this.#unwritten.keys()) this.#enqueue(key);
  }

  #unwrittenOf(names: readonly string[]): Unwritten {
    const key = setKey(names);
    let unwritten = this.#unwritten.get(key);
    if (unwritten === undefined) {
      unwritten = { names, waiting: [], rounds: [], failed: null, writing: false };
      this.#unwritten.set(key, unwritten);
    }
    return unwritten;
  }

  #enqueue(key: string): void {
    if (this.#unwritten.get(key)?.writing !== false) return;
    this.#due.add(key);
    this.#pump();
  }

  #pump(): void {
    for (const key of this.#due) {
      if (this.#working >= AT_ONCE) return;
      this.#due.delete(key);
      this.#working += 1;
      void this.#write(key).finally(() => {
        this.#working -= 1;
        this.#pump();
      });
    }
    if (this.#working > 0) return;
    this.#idle?.resolve();
    this.#idle = null;
  }

  /** Never rejects. */
  async #write(key: string): Promise<void> {
    const unwritten = this.#unwritten.get(key);
    if (unwritten === undefined) return;
    unwritten.writing = true;
    const { names } = unwritten;
    let kept: JournalDocument | null = null;
    let trouble: unknown = null;
    try {
      kept = await this.#load(names);
    } catch (error) {
      // Not written over: it may be readable again.
      trouble = error;
    }
    const before = withFailed(kept ?? emptyJournal(names), unwritten);
    const { waiting, rounds } = unwritten;
    unwritten.waiting = [];
    unwritten.rounds = [];
    const recorded = rounds.reduce(withRound, waiting.reduce(withEntry, before));
    const { journal, notices } = this.#withNotices(recorded, key);
    if (kept !== null && journal !== kept)
      trouble = await this.#save(journal).catch((error: unknown) => error);
    this.#sayWhetherWritten(names, trouble);
    unwritten.writing = false;
    const { served, episode } = journal;
    unwritten.failed = trouble === null ? null : { served, episode, entries: unsaved(unwritten, waiting) };
    if (unwritten.waiting.length > 0 || unwritten.rounds.length > 0) this.#due.add(key);
    else if (trouble === null) this.#unwritten.delete(key);
    for (const { reason, at, sent } of notices) void this.#deliver(names, { reason, at, sent, episode });
  }

  /** Decides in the same writing as what it is about who is told. */
  #withNotices(
    journal: JournalDocument,
    key: string,
  ): { journal: JournalDocument; notices: readonly PendingNotice[] } {
    if (this.notifier === null) return { journal, notices: [] };
    const episode = tell(journal.episode, this.#clock.now());
    const notices = deliverable(episode).filter(({ reason }) => !this.#delivering.has(`${reason} ${key}`));
    for (const { reason } of notices) this.#delivering.add(`${reason} ${key}`);
    return { journal: episode === journal.episode ? journal : { ...journal, episode }, notices };
  }

  async #deliver(names: readonly string[], told: Omit<Notice, "names" | "begin" | "took">): Promise<void> {
    const { reason } = told;
    let complete = true;
    const begin = async (): Promise<void> => {
      this.#note(names, { reason, step: "begun" });
      await this.written();
    };
    const took = ({ channel, error }: Delivery): void => {
      const said = error === null ? null : journalText(error);
      this.of(names).record({ kind: "notified", reason, channel, error: said });
      if (error === null) this.#note(names, { reason, step: "reached", channel });
      else complete = false;
    };
    await this.notifier?.notify({ names, ...told, begin, took });
    this.#delivering.delete(`${reason} ${setKey(names)}`);
    this.#note(names, { reason, step: "ended", complete });
  }

  #note(names: readonly string[], round: Round): void {
    this.#unwrittenOf(names).rounds.push(round);
    this.#enqueue(setKey(names));
  }

  async #load(names: readonly string[]): Promise<JournalDocument> {
    const path = this.#path(names);
    const text = await readIfThere(path);
    if (text === null) return emptyJournal(names);
    try {
      return parseJournal(text);
    } catch (reason) {
      await this.#damaged.setAside(path, reason, "a new journal is begun");
      return emptyJournal(names);
    }
  }

  /** @returns null, so that a failure is told from it. */
  async #save(journal: JournalDocument): Promise<null> {
    this.#prepared ??= this.#prepare();
    try {
      await this.#prepared;
      await writeDurably(this.#path(journal.names), formatJournal(journal));
    } catch (error) {
      this.#prepared = null;
      throw error;
    }
    return null;
  }

  /** Once, before the first writing: it takes away what a daemon that was killed left of its last one. */
  async #prepare(): Promise<void> {
    await makePrivateFolder(this.#folder);
    await listFolder(this.#folder);
  }

  #path(names: readonly string[]): string {
    return join(this.#folder, `${fileNameForSet(names)}.jsonl`);
  }

  /** A change is one line: a full disk must not fill the log as well. */
  #sayWhetherWritten(names: readonly string[], trouble: unknown): void {
    const fields = { certificate: names[0] };
    if (trouble !== null && !this.#failing)
      this.#log.warn(
        { ...fields, err: trouble },
        `the journal of ${names[0]} was not written: ${sentenceOf(trouble)} Certificates are served and renewed all the same.`,
      );
    if (trouble === null && this.#failing) this.#log.info(fields, "journals are written again");
    this.#failing = trouble !== null;
  }
}

/** The journal with what a writing before this one could not keep. */
function withFailed(journal: JournalDocument, unwritten: Unwritten | undefined): JournalDocument {
  const failed = unwritten?.failed ?? null;
  if (failed === null) return journal;
  return { ...journal, ...failed, entries: [...journal.entries, ...failed.entries] };
}

function unsaved({ failed }: Unwritten, entries: readonly JournalEntry[]): JournalEntry[] {
  return [...(failed?.entries ?? []), ...entries].slice(-MOST_WAITING);
}

function withRound(journal: JournalDocument, round: Round): JournalDocument {
  const { episode } = journal;
  switch (round.step) {
    case "begun":
      return { ...journal, episode: begin(episode, round.reason) };
    case "reached":
      return { ...journal, episode: reached(episode, round.reason, round.channel) };
    case "ended":
      return { ...journal, episode: settle(episode, round.reason, round.complete) };
  }
}
