import { rename } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Clock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { makePrivateFolder } from "./durable-file.ts";

/**
 * Where unreadable files of the storage go: out of the way, so that a new one can be made, and not deleted, so
 * that somebody can look.
 */
export class DamagedFiles {
  readonly #storage: string;
  readonly #clock: Clock;
  readonly #log: Logger;

  constructor(options: { storage: string; clock: Clock; log: Logger }) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** @param consequence what happens now, as a clause for the log: "a new one is ordered" */
  async setAside(path: string, reason: unknown, consequence: string): Promise<void> {
    const folder = join(this.#storage, "damaged");
    const flat = relative(this.#storage, path).replaceAll("/", "__");
    const target = join(folder, `${new Date(this.#clock.now()).toISOString().replaceAll(":", "-")}__${flat}`);
    try {
      await makePrivateFolder(folder);
      await rename(path, target);
    } catch (error) {
      // A disk that takes nothing; what is made in its place replaces it.
      this.#log.warn(
        { file: path, err: error },
        `${path} is damaged (${messageOf(reason)}) and could not be moved away (${messageOf(error)}); ${consequence}. Check the disk.`,
      );
      return;
    }
    this.#log.warn(
      { file: path, movedTo: target },
      `${path} is damaged (${messageOf(reason)}) and was moved to ${target}; ${consequence}. Check the disk if this repeats.`,
    );
  }
}
