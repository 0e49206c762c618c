import type { TlsCertificate } from "./certificate.ts";

/** Texts of intermediates that are looked for in others; CAs have a handful. */
const MOST_ISSUERS = 256;

/** The first certificate of a PEM chain, with the line's end. */
const LEAF = /^[^]*?-----END CERTIFICATE-----\r?\n/;

/**
 * A certificate that waits to be asked for, which most of ten thousand do: the intermediates of all of one CA's are the
 * same text, and held once; what is its own is held as bytes and made text when a context is made of it.
 */
export class HeldCertificate implements TlsCertificate {
  readonly names: readonly string[];
  readonly fingerprint: string;
  readonly #leaf: Buffer;
  readonly #issuers: string;
  readonly #key: Buffer;

  /** @param known texts of intermediates that others have. */
  constructor({ names, fingerprint, chain, key }: TlsCertificate, known: Map<string, string>) {
    const leaf = LEAF.exec(chain)?.[0] ?? chain;
    const issuers = chain.slice(leaf.length);
    this.names = names;
    this.fingerprint = fingerprint;
    this.#leaf = Buffer.from(leaf, "latin1");
    this.#key = Buffer.from(key, "latin1");
    // Of a copy: a slice would keep the whole chain in memory.
    this.#issuers = known.get(issuers) ?? Buffer.from(issuers, "latin1").toString("latin1");
    if (!known.has(this.#issuers)) {
      if (known.size >= MOST_ISSUERS) known.clear();
      known.set(this.#issuers, this.#issuers);
    }
  }

  get chain(): string {
    return this.#leaf.toString("latin1") + this.#issuers;
  }

  get key(): string {
    return this.#key.toString("latin1");
  }
}
