import { rm } from "node:fs/promises";
import { join } from "node:path";
import { RECORD_ID, type AcmeServerWish, type RecordKind } from "../acme-server/messages.ts";
import type { AccountRecord, OrderRecord } from "../acme-server/records.ts";
import type { DamagedFiles } from "../certificates/damaged.ts";
import {
  listFolder,
  makePrivateFolder,
  readIfThere,
  storageError,
  writeDurably,
} from "../certificates/durable-file.ts";
import { PaddockError, systemErrorCode } from "../errors.ts";

/** Bytes of one record; an order with twenty names and its chain has some 20 KB. */
const LARGEST = 128 * 1024;
/** Of each kind: more than the ACME server lets come to be, so that a broken one cannot fill the disk. */
const MOST = 6000;

type Save = Extract<AcmeServerWish, { type: "save" }>;

/** Accounts and orders of the ACME server: `acme-server/accounts/ID.json`, `acme-server/orders/ID.json`. */
export class AcmeRecords {
  readonly #folder: string;
  readonly #damaged: DamagedFiles;
  readonly #known: Record<RecordKind, Set<string>> = { accounts: new Set(), orders: new Set() };

  constructor(storage: string, damaged: DamagedFiles) {
    this.#folder = join(storage, "acme-server");
    this.#damaged = damaged;
  }

  /** What is readable; the rest is set aside. */
  async load(): Promise<{ accounts: AccountRecord[]; orders: OrderRecord[] }> {
    await makePrivateFolder(this.#folder);
    return {
      accounts: (await this.#loadAll("accounts", [
        "thumbprint",
        "jwk",
        "contact",
        "status",
      ])) as AccountRecord[],
      orders: (await this.#loadAll("orders", ["account", "expires", "authorizations"])) as OrderRecord[],
    };
  }

  /** Durable once it resolves. */
  async save({ kind, record }: Save): Promise<void> {
    const path = this.#path(kind, record.id);
    const text = `${JSON.stringify(record, null, 1)}\n`;
    const known = this.#known[kind];
    if (text.length > LARGEST || (known.size >= MOST && !known.has(record.id)))
      throw new PaddockError("acme-server.too-much", `more ${kind} than the ACME server may keep`);
    known.add(record.id);
    await writeDurably(path, text);
  }

  async remove(kind: RecordKind, id: string): Promise<void> {
    const path = this.#path(kind, id);
    try {
      await rm(path);
    } catch (cause) {
      if (systemErrorCode(cause) !== "ENOENT") throw storageError(path, cause);
    }
    this.#known[kind].delete(id);
  }

  async #loadAll(kind: RecordKind, members: readonly string[]): Promise<unknown[]> {
    const folder = join(this.#folder, kind);
    await makePrivateFolder(folder);
    const found: unknown[] = [];
    for (const file of await listFolder(folder)) {
      const id = file.replace(/\.json$/, "");
      if (!RECORD_ID.test(id)) continue;
      const record = parse((await readIfThere(this.#path(kind, id))) ?? "");
      if (record?.["id"] === id && members.every((member) => member in record)) {
        found.push(record);
        this.#known[kind].add(id);
      } else await this.#damaged.setAside(join(folder, file), "not a record", "its client starts anew");
    }
    return found;
  }

  /** The id is the ACME server's word, and a name of a file only if it looks like one. */
  #path(kind: RecordKind, id: string): string {
    if (!Object.hasOwn(this.#known, kind) || !RECORD_ID.test(id))
      throw new PaddockError("acme-server.bad-id", "the ACME server named a record that cannot be");
    return join(this.#folder, kind, `${id}.json`);
  }
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return null;
  }
}
