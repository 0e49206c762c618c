import { join } from "node:path";
import type { DamagedFiles } from "./damaged.ts";
import { listFolder, makePrivateFolder, readIfThere, removeDurably, writeDurably } from "./durable-file.ts";
import { fileNameFor, fileNameForSet } from "./file-name.ts";

/**
 * One issuer's orders under way: `orders/ISSUER/NAME-DIGEST.json`, one for each set of names. What is in them is
 * the issuer's business; a private key among it, so nobody else may read them.
 */
export class OrderStore {
  readonly #folders: readonly [string, string];
  readonly #damaged: DamagedFiles;
  /** Names of the files that are there, so that a start with thousands of certificates reads one folder once. */
  #files: Set<string> | null = null;

  constructor(options: { storage: string; issuer: string; damaged: DamagedFiles }) {
    const orders = join(options.storage, "orders");
    this.#folders = [orders, join(orders, fileNameFor(options.issuer))];
    this.#damaged = options.damaged;
  }

  /** Null where there is none, or a damaged one, which is then set aside. */
  async load(names: readonly string[]): Promise<Readonly<Record<string, unknown>> | null> {
    const there = await this.#there();
    if (there.size === 0 || !there.has(fileOf(names))) return null;
    const text = await readIfThere(this.#path(names));
    if (text === null) return null;
    try {
      const document: unknown = JSON.parse(text);
      if (typeof document === "object" && document !== null) return document as Record<string, unknown>;
    } catch {
      // JSON.parse quotes what it read in its message, and that may be a key: nothing of it is kept.
    }
    await this.#damaged.setAside(this.#path(names), "not an order", "a new order is made");
    (await this.#there()).delete(fileOf(names));
    return null;
  }

  /** Durable once it resolves. */
  async save(names: readonly string[], order: Readonly<Record<string, unknown>>): Promise<void> {
    for (const folder of this.#folders) await makePrivateFolder(folder);
    await writeDurably(this.#path(names), `${JSON.stringify(order, null, 1)}\n`);
    (await this.#there()).add(fileOf(names));
  }

  async remove(names: readonly string[]): Promise<void> {
    await removeDurably(this.#path(names));
    (await this.#there()).delete(fileOf(names));
  }

  #path(names: readonly string[]): string {
    return join(this.#folders[1], fileOf(names));
  }

  async #there(): Promise<Set<string>> {
    if (this.#files !== null) return this.#files;
    const files = await listFolder(this.#folders[1]);
    // Two that ask at once share the first one's set.
    this.#files ??= new Set(files);
    return this.#files;
  }
}

function fileOf(names: readonly string[]): string {
  return `${fileNameForSet(names)}.json`;
}
