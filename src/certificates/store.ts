import { hash } from "node:crypto";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { messageOf, PaddockError } from "../errors.ts";
import { canonicalName, readPair, type CertificatePair } from "./certificate-pair.ts";
import type { DamagedFiles } from "./damaged.ts";
import {
  listFolder,
  makePrivateFolder,
  readIfThere,
  readNow,
  removeDurably,
  writeDurably,
} from "./durable-file.ts";
import { fileNameFor, fileNameForSet } from "./file-name.ts";
import { RevokedCertificates } from "./revoked.ts";

/** The moment that was chosen in the issuer's renewal window; kept, so that a restart does not roll again. */
export interface ChosenRenewal {
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

export interface StoredCertificate extends CertificatePair {
  readonly issuer: string;
  /** As they were ordered; the first one names it. */
  readonly names: readonly string[];
  /** Milliseconds since the epoch. */
  readonly issuedAt: number;
  readonly renewal: ChosenRenewal | null;
}

const VERSION = 1;

/** Files that are read before anything else gets its turn. */
const AT_A_STRETCH = 100;

/**
 * Certificates on disk: `certificates/ISSUER/NAME-DIGEST.json`, one file per issuer and set of names.
 *
 * One file holds chain, key and what we noted: with two files, a crash between two renames would leave a key
 * that does not fit its chain. (Rejected: a folder per generation with a symlink, which has more states.)
 */
export class CertificateStore {
  readonly #folder: string;
  readonly #damaged: DamagedFiles;
  #ahead: Promise<StoredCertificate[]> | null = null;
  /** What is never loaded again. */
  readonly revoked: RevokedCertificates;

  /** A store that has begun to read what its first `list` returns, for who has other things to wait for until then. */
  static readingAhead(options: { storage: string; damaged: DamagedFiles }): CertificateStore {
    const store = new CertificateStore(options);
    store.#ahead = store.#list();
    // Who asks for the list hears of it.
    store.#ahead.catch(() => undefined);
    return store;
  }

  constructor(options: { storage: string; damaged: DamagedFiles }) {
    this.revoked = new RevokedCertificates(options);
    this.#folder = join(options.storage, "certificates");
    this.#damaged = options.damaged;
  }

  /** Null where there is none, a revoked one, or a damaged one, which is then set aside. */
  async load(issuer: string, names: readonly string[]): Promise<StoredCertificate | null> {
    return await this.#read(this.#path(issuer, names));
  }

  /** Durable once it resolves. */
  async save(certificate: StoredCertificate): Promise<void> {
    const { issuer, names } = certificate;
    await makePrivateFolder(this.#folder);
    await makePrivateFolder(join(this.#folder, fileNameFor(issuer)));
    await writeDurably(this.#path(issuer, names), storedText(certificate));
  }

  /** Those of every issuer for exactly these names. */
  async remove(names: readonly string[]): Promise<void> {
    for (const issuer of await listFolder(this.#folder))
      await removeDurably(join(this.#folder, issuer, `${fileNameForSet(names)}.json`));
  }

  /** All readable ones, of all issuers. */
  async list(): Promise<StoredCertificate[]> {
    const ahead = this.#ahead;
    this.#ahead = null;
    return await (ahead ?? this.#list());
  }

  async #list(): Promise<StoredCertificate[]> {
    const found: StoredCertificate[] = [];
    let read = 0;
    for (const issuer of await listFolder(this.#folder)) {
      for (const file of await listFolder(join(this.#folder, issuer))) {
        if (!file.endsWith(".json")) continue;
        const path = join(this.#folder, issuer, file);
        const certificate = await this.#parse(path, readNow(path));
        if (certificate !== null) found.push(certificate);
        if (++read % AT_A_STRETCH === 0) await setImmediate();
      }
    }
    return found;
  }

  #path(issuer: string, names: readonly string[]): string {
    return join(this.#folder, fileNameFor(issuer), `${fileNameForSet(names)}.json`);
  }

  async #read(path: string): Promise<StoredCertificate | null> {
    return await this.#parse(path, await readIfThere(path));
  }

  async #parse(path: string, text: string | null): Promise<StoredCertificate | null> {
    if (text === null) return null;
    let certificate: StoredCertificate;
    try {
      certificate = parse(text);
    } catch (reason) {
      await this.#damaged.setAside(path, reason, "a new certificate is obtained in its place");
      return null;
    }
    return (await this.revoked.has(certificate.fingerprint)) ? null : certificate;
  }
}

/** What the file of a certificate holds. */
export function storedText(certificate: StoredCertificate): string {
  const { issuer, names, issuedAt, renewal, certified, notBefore, notAfter, fingerprint, chain, key } =
    certificate;
  const content = {
    issuer,
    names,
    issuedAt,
    renewal,
    certified,
    notBefore,
    notAfter,
    fingerprint,
    chain,
    key,
  };
  const document = { version: VERSION, ...content, digest: digestOf(content) };
  return `${JSON.stringify(document, null, 1)}\n`;
}

/**
 * The certificate where this is, to the last byte, what `save` was given, which had been checked then; null elsewhere.
 * To check ten thousand chains against their keys at each start takes seconds, and to hash them a tenth of one. What
 * somebody has edited, or what an older Paddock wrote, is checked as a whole.
 */
function asSaved(document: Record<string, unknown>): StoredCertificate | null {
  const { version: _, digest, ...content } = document;
  return digest === digestOf(content) ? (content as unknown as StoredCertificate) : null;
}

function digestOf(content: object): string {
  return hash("sha256", JSON.stringify(content), "hex");
}

function parse(text: string): StoredCertificate {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // JSON.parse quotes what it read in its message, and that may be a key: neither message nor cause is kept.
    throw new Error(`not JSON, ${text.length} characters`);
  }
  const { version, issuer, names, issuedAt, renewal, chain, key } = document;
  if (version !== VERSION) throw new Error(`version ${JSON.stringify(version)} is unknown`);
  const saved = asSaved(document);
  if (saved !== null) return saved;
  if (typeof issuer !== "string" || typeof chain !== "string" || typeof key !== "string")
    throw new Error("incomplete");
  if (!Array.isArray(names) || names.length === 0) throw new Error("without names");
  const list = names.map(String);
  const pair = readPair(chain, key);
  const missing = missingNames(pair, list);
  if (missing.length > 0) throw new Error(`its certificate lacks ${missing.join(", ")}`);
  return {
    ...pair,
    issuer,
    names: list,
    issuedAt: typeof issuedAt === "number" ? issuedAt : pair.notBefore,
    renewal: parseRenewal(renewal),
  };
}

/** The names that the certificate is not literally for. */
function missingNames(pair: CertificatePair, names: readonly string[]): string[] {
  return names.filter((name) => !pair.certified.includes(canonicalName(name)));
}

function parseRenewal(value: unknown): ChosenRenewal | null {
  const { start, end, at } = (value ?? {}) as Record<string, unknown>;
  if (typeof start !== "number" || typeof end !== "number" || typeof at !== "number") return null;
  return { start, end, at };
}

/** A new entry from what an issuer gave, or an error: key and names are checked before anything is replaced. */
export function acceptIssued(
  issued: { chain: string; key: string },
  about: { issuer: string; names: readonly string[]; now: number },
): StoredCertificate {
  const { issuer, names, now } = about;
  const refuse = (why: string): PaddockError =>
    new PaddockError(
      "certificate.unacceptable",
      `${issuer} gave a certificate that was not accepted: ${why}`,
      {
        fix: "The one in use stays; the attempt is repeated. If it repeats, report it to the CA.",
      },
    );
  let pair: CertificatePair;
  try {
    pair = readPair(issued.chain, issued.key);
  } catch (error) {
    throw refuse(messageOf(error));
  }
  const missing = missingNames(pair, names);
  if (missing.length > 0) throw refuse(`it lacks ${missing.join(", ")}`);
  if (pair.notAfter <= now) throw refuse(`it ended at ${new Date(pair.notAfter).toISOString()}`);
  // Never before its own beginning, which a clock that is behind would say: the newest one has to look newest.
  return { ...pair, issuer, names: [...names], issuedAt: Math.max(now, pair.notBefore), renewal: null };
}
