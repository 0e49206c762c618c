import { join } from "node:path";
import type { DamagedFiles } from "./damaged.ts";
import { listFolder, makePrivateFolder, readIfThere, removeDurably, writeDurably } from "./durable-file.ts";
import { fileNameFor } from "./file-name.ts";

/** What is kept of an account at a CA; the shape is the ACME client's, which is handed this store. */
export interface StoredAccount {
  readonly directory: string;
  readonly url: string | null;
  readonly privateJwk: Readonly<Record<string, unknown>>;
  readonly email: string | null;
  /** The key that a rollover is about to put in the place of `privateJwk`. */
  readonly nextJwk?: Readonly<Record<string, unknown>>;
  /** Its deactivation has begun. */
  readonly leaving?: boolean;
}

/** One issuer's account: `accounts/ISSUER/account.json`. */
export class AccountStore {
  readonly #folders: readonly [string, string];
  readonly #path: string;
  readonly #damaged: DamagedFiles;

  constructor(options: { storage: string; issuer: string; damaged: DamagedFiles }) {
    const accounts = join(options.storage, "accounts");
    this.#folders = [accounts, join(accounts, fileNameFor(options.issuer))];
    this.#path = join(this.#folders[1], "account.json");
    this.#damaged = options.damaged;
  }

  /** Null where there is none, or a damaged one, which is then set aside. */
  async load(): Promise<StoredAccount | null> {
    await listFolder(this.#folders[1]);
    const text = await readIfThere(this.#path);
    if (text === null) return null;
    const account = parse(text);
    if (account === null) {
      await this.#damaged.setAside(this.#path, "not an account", "a new account is registered");
    }
    return account;
  }

  /** Durable once it resolves. */
  async save(account: StoredAccount): Promise<void> {
    for (const folder of this.#folders) await makePrivateFolder(folder);
    await writeDurably(this.#path, `${JSON.stringify(account, null, 1)}\n`);
  }

  /** Durable once it resolves. */
  async remove(): Promise<void> {
    await removeDurably(this.#path);
  }
}

function parse(text: string): StoredAccount | null {
  let document: Partial<Record<keyof StoredAccount, unknown>>;
  try {
    document = (JSON.parse(text) ?? {}) as typeof document;
  } catch {
    return null;
  }
  const { directory, url, privateJwk, email, nextJwk, leaving } = document;
  const key = keyOf(privateJwk);
  const next = keyOf(nextJwk);
  if (typeof directory !== "string" || key === null) return null;
  if (url !== null && typeof url !== "string") return null;
  return {
    directory,
    url,
    privateJwk: key,
    email: typeof email === "string" ? email : null,
    ...(next === null ? {} : { nextJwk: next }),
    ...(leaving === true ? { leaving } : {}),
  };
}

function keyOf(value: unknown): Readonly<Record<string, unknown>> | null {
  const key = (value ?? {}) as Record<string, unknown>;
  const members = key["kty"] === "RSA" ? ["n", "e", "d", "p", "q"] : ["kty", "crv", "x", "y", "d"];
  return members.every((part) => typeof key[part] === "string") ? key : null;
}
