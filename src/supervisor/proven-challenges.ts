import { join } from "node:path";
import { makeStorage, readIfThere, writeDurably } from "../certificates/durable-file.ts";
import { CHALLENGE_KINDS, type ChallengeKind } from "../config/challenges.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";

/**
 * By which kind of challenge a name was proven, where that was not the first of the configuration: the next order
 * begins with it, also after a restart, and the CA counts one failed authorization less.
 *
 * `challenges.json` in the storage. It is a hint: where it cannot be read or written, nothing is lost but time.
 */
export class ProvenChallenges {
  readonly #path: string;
  readonly #log: Logger;
  readonly #kinds: Map<string, ChallengeKind>;
  #writing: Promise<void> = Promise.resolve();

  /** @throws PaddockError `storage.failed` where the storage itself cannot be read. */
  static async open(storage: string, log: Logger): Promise<ProvenChallenges> {
    await makeStorage(storage);
    const path = join(storage, "challenges.json");
    const text = await readIfThere(path);
    return new ProvenChallenges(path, log, text === null ? [] : parse(text));
  }

  private constructor(path: string, log: Logger, entries: readonly (readonly [string, ChallengeKind])[]) {
    this.#path = path;
    this.#log = log;
    this.#kinds = new Map(entries);
  }

  of(name: string): ChallengeKind | undefined {
    return this.#kinds.get(name);
  }

  /** `undefined`: by the first of the configuration, so there is nothing to remember. */
  remember(name: string, kind: ChallengeKind | undefined): void {
    if (this.#kinds.get(name) === kind) return;
    if (kind === undefined) this.#kinds.delete(name);
    else this.#kinds.set(name, kind);
    const text = `${JSON.stringify(Object.fromEntries(this.#kinds), null, 1)}\n`;
    this.#writing = this.#writing
      .then(() => writeDurably(this.#path, text))
      .catch((error: unknown) =>
        this.#log.warn({ cause: messageOf(error) }, "which challenge worked was not written down"),
      );
  }

  /** Forgets names that are not configured any more; in the file with the next change. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#kinds.keys()) if (!names.has(name)) this.#kinds.delete(name);
  }
}

/** What can be understood; a damaged file is as good as none. */
function parse(text: string): (readonly [string, ChallengeKind])[] {
  try {
    const document = JSON.parse(text) as unknown;
    if (typeof document !== "object" || document === null) return [];
    return Object.entries(document).flatMap(([name, written]) => {
      const kind = CHALLENGE_KINDS.find((one) => one === written);
      return kind === undefined ? [] : [[name, kind] as const];
    });
  } catch {
    return [];
  }
}
