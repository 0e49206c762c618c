import { canonicalName } from "./certificate-pair.ts";
import { setKey } from "./file-name.ts";
import type { Issuer } from "./issuer.ts";
import type { CertificateStore, StoredCertificate } from "./store.ts";

interface Wanted {
  readonly names: readonly string[];
  readonly issuers: readonly Issuer[];
}

/** What the storage had at one moment, found by what it is for: each of ten thousand sites asks for its own. */
export class StoredCertificates {
  readonly #byIssuerAndSet = new Map<string, StoredCertificate>();
  readonly #byName = new Map<string, StoredCertificate[]>();

  constructor(all: readonly StoredCertificate[]) {
    for (const certificate of all) {
      this.#byIssuerAndSet.set(`${certificate.issuer} ${setKey(certificate.names)}`, certificate);
      for (const name of certificate.certified) {
        const before = this.#byName.get(name);
        if (before === undefined) this.#byName.set(name, [certificate]);
        else before.push(certificate);
      }
    }
  }

  /** The one that `issuer` made for exactly these names. */
  of(issuer: string, names: readonly string[]): StoredCertificate | null {
    return this.#byIssuerAndSet.get(`${issuer} ${setKey(names)}`) ?? null;
  }

  /** The newest for exactly these names, by any of the issuers; one that has ended where none is valid. */
  newestFor({ names, issuers }: Wanted, now: number): StoredCertificate | null {
    return newestOf(
      issuers.map(({ name }) => this.of(name, names)),
      now,
    );
  }

  /**
   * Those that are good for at least one of the names, by a wildcard too; the one that lasts longest first.
   *
   * @param local the embedded CA, whose temporary ones stand in anyway.
   */
  standInsFor(names: readonly string[], local: string, now: number): StoredCertificate[] {
    const found = new Set<StoredCertificate>();
    for (const name of names) {
      const wanted = canonicalName(name);
      const wildcard = `*${wanted.slice(Math.max(0, wanted.indexOf(".")))}`;
      for (const key of [wanted, wildcard])
        for (const certificate of this.#byName.get(key) ?? []) found.add(certificate);
    }
    return [...found]
      .filter(({ issuer, notAfter }) => issuer !== local && notAfter > now)
      .sort((a, b) => b.notAfter - a.notAfter);
  }
}

/**
 * The valid one that was issued last: after a fallback it is not the first issuer's. Where all have ended, the last that
 * did: it may be the clock that is wrong.
 */
export function newestOf(
  found: readonly (StoredCertificate | null)[],
  now: number,
): StoredCertificate | null {
  const all = found.filter((stored) => stored !== null);
  const valid = all.filter(({ notAfter }) => notAfter > now);
  const rank = ({ issuedAt, notAfter }: StoredCertificate): number =>
    valid.length === 0 ? notAfter : issuedAt;
  return (valid.length === 0 ? all : valid).reduce<StoredCertificate | null>(
    (best, one) => (best === null || rank(one) > rank(best) ? one : best),
    null,
  );
}

/** As newestFor, from the storage as it is now. */
export async function loadNewest(
  store: CertificateStore,
  { names, issuers }: Wanted,
  now: number,
): Promise<StoredCertificate | null> {
  return newestOf(await Promise.all(issuers.map(async ({ name }) => await store.load(name, names))), now);
}

/** Whether an order is under way for one to come after it. */
export async function isUnderWay({ names, issuers }: Wanted, { key }: StoredCertificate): Promise<boolean> {
  const found = await Promise.all(issuers.map(async (issuer) => await issuer.underWay?.(names, key)));
  return found.includes(true);
}
