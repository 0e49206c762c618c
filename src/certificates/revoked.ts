import { join } from "node:path";
import type { DamagedFiles } from "./damaged.ts";
import { listFolder, makePrivateFolder, readIfThere, removeDurably, writeDurably } from "./durable-file.ts";

/** A revocation that has begun: what its repetition needs, until the CA has confirmed it. */
export interface Revocation {
  readonly issuer: string;
  readonly names: readonly string[];
  /** SHA-256 of the end-entity certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly reason: number;
  /** PEM. */
  readonly chain: string;
  /** PEM; a CA that does not know the account takes a request signed by the certificate's own key. */
  readonly key: string;
}

/**
 * Which certificates are revoked, or are about to be: `revoked/FINGERPRINT.json`. None of them is loaded again,
 * whatever file it comes back in, a restored backup for one.
 *
 * A file is written before the CA is asked, so that a crash in between cannot leave a revoked certificate that
 * nobody here knows to be revoked. The key goes out of it when the CA has confirmed.
 */
export class RevokedCertificates {
  readonly #folder: string;
  readonly #damaged: DamagedFiles;
  #known: Set<string> | null = null;

  constructor(options: { storage: string; damaged: DamagedFiles }) {
    this.#folder = join(options.storage, "revoked");
    this.#damaged = options.damaged;
  }

  async has(fingerprint: string): Promise<boolean> {
    return (await this.#fingerprints()).has(fingerprint);
  }

  /** Durable once it resolves. */
  async begin(revocation: Revocation): Promise<void> {
    await makePrivateFolder(this.#folder);
    await this.#write(revocation.fingerprint, { ...revocation, confirmedAt: null });
    (await this.#fingerprints()).add(revocation.fingerprint);
  }

  /** @param at milliseconds since the epoch */
  async confirm(revocation: Revocation, at: number): Promise<void> {
    const { issuer, names, fingerprint, reason, chain } = revocation;
    await this.#write(fingerprint, { issuer, names, fingerprint, reason, chain, confirmedAt: at });
  }

  /** For a revocation that the CA has refused. */
  async abandon({ fingerprint }: Revocation): Promise<void> {
    await removeDurably(this.#path(fingerprint));
    (await this.#fingerprints()).delete(fingerprint);
  }

  /** Those that the CA has not confirmed. */
  async unconfirmed(): Promise<Revocation[]> {
    const found: Revocation[] = [];
    for (const fingerprint of await this.#fingerprints()) {
      const text = await readIfThere(this.#path(fingerprint));
      const revocation = text === null ? null : await this.#parse(text, fingerprint);
      if (revocation !== null) found.push(revocation);
    }
    return found;
  }

  /** Null for one that is confirmed, and for a damaged one: its name still says which certificate is meant. */
  async #parse(text: string, fingerprint: string): Promise<Revocation | null> {
    let document: Partial<Record<keyof Revocation | "confirmedAt", unknown>>;
    try {
      document = JSON.parse(text) as typeof document;
    } catch {
      await this.#damaged.setAside(this.#path(fingerprint), "not JSON", "it is not revoked once more");
      return null;
    }
    const { issuer, names, reason, chain, key, confirmedAt } = document;
    if (confirmedAt !== null || !Array.isArray(names) || typeof reason !== "number") return null;
    if (typeof issuer !== "string" || typeof chain !== "string" || typeof key !== "string") return null;
    return { issuer, names: names.map(String), fingerprint, reason, chain, key };
  }

  async #fingerprints(): Promise<Set<string>> {
    // The files' names say enough, so that a start with thousands of certificates reads one folder.
    if (this.#known !== null) return this.#known;
    const files = (await listFolder(this.#folder)).filter((file) => file.endsWith(".json"));
    this.#known ??= new Set(files.map((file) => file.slice(0, -".json".length)));
    return this.#known;
  }

  async #write(fingerprint: string, document: object): Promise<void> {
    await writeDurably(this.#path(fingerprint), `${JSON.stringify(document, null, 1)}\n`);
  }

  #path(fingerprint: string): string {
    return join(this.#folder, `${fingerprint}.json`);
  }
}
