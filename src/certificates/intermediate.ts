import { generateKeyPair } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import type { JsonGeneralName } from "@peculiar/x509";
import type { Clock } from "../clock.ts";
import { PaddockError } from "../errors.ts";
import { x509 } from "../tls/x509.ts";
import {
  authoritySubject,
  certify,
  exportKey,
  loadAuthority,
  makeAuthority,
  saveAuthority,
  signedBy,
  type Authority,
} from "./authority.ts";
import { canonicalName } from "./certificate-pair.ts";
import type { DamagedFiles } from "./damaged.ts";
import type { Storing } from "./storing.ts";
import { hasConstraints, nameConstraints } from "./name-constraints.ts";

const DAY = 24 * 3_600_000;
const LIFETIME = 730 * DAY;
/** The intermediate is made anew with so much left, so that no leaf outlives it. Milliseconds. */
export const INTERMEDIATE_MARGIN = 180 * DAY;
const LEAF_LIFETIME = 7 * DAY;

export interface IntermediateOptions {
  /** File that holds certificate and key. */
  readonly path: string;
  /** A word of its subject: `Intermediate CA`. */
  readonly title: string;
  readonly root: Authority;
  readonly clock: Clock;
  readonly damaged: DamagedFiles;
  readonly storing: Pick<Storing, "keep">;
}

/**
 * What signs the leaves: an intermediate below the root, whose name constraints permit the names that it is here
 * for. It is made when it is first needed, before its end, and when the names are others.
 *
 * Leaves of an earlier one stay good, since they bring it along in their chain.
 */
export class Intermediate {
  readonly #options: IntermediateOptions;
  #permitted: readonly string[] | null = null;
  #kept: Authority | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: IntermediateOptions) {
    this.#options = options;
  }

  /** What `permit` was given last. */
  get permitted(): readonly string[] | null {
    return this.#permitted;
  }

  /** From now on it is good for these names, and what is below them; null sets no limit. */
  permit(names: readonly string[] | null): void {
    this.#permitted = names;
  }

  /**
   * A leaf of a week with a new key, for a server of this daemon; chain is leaf and intermediate. A name that no
   * configuration listed, as of a site on demand, is permitted from now on.
   */
  async issue(names: readonly string[]): Promise<{ chain: string; key: string }> {
    const others = names.filter((name) => !this.#permits(name));
    if (this.#permitted !== null && others.length > 0) this.#permitted = [...this.#permitted, ...others];
    const keys = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
    const publicKey = keys.publicKey.export({ type: "spki", format: "der" });
    return { chain: await this.certify(names, publicKey, LEAF_LIFETIME), key: exportKey(keys.privateKey) };
  }

  /**
   * A leaf for a public key whose private half somebody else has (SubjectPublicKeyInfo, DER).
   *
   * @throws PaddockError `certificate.not-permitted` for names that it is not here for: its own chain would forbid
   *   them, in each client, and say nothing of why. `storage.failed`
   */
  async certify(names: readonly string[], publicKey: Buffer, lifetime: number): Promise<string> {
    const stranger = names.find((name) => !this.#permits(name));
    if (stranger !== undefined)
      throw new PaddockError("certificate.not-permitted", `the embedded CA is not here for ${stranger}`, {
        fix: "add it to the names that it may certify",
      });
    const authority = await this.#current(this.#permitted);
    const subject = {
      // Empty, so the names are critical (RFC 5280 §4.2.1.6).
      name: "",
      lifetime,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value): JsonGeneralName => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
          true,
        ),
      ],
    };
    const leaf = await certify(authority, publicKey, subject, this.#options.clock.now());
    return leaf.certificate + authority.certificate;
  }

  #permits(name: string): boolean {
    if (this.#permitted === null) return true;
    const bare = canonicalName(name.replace(/^\*\./, ""));
    const bases = this.#permitted.map((base) => canonicalName(base.replace(/^\*\./, "")));
    return bases.some((base) => bare === base || (isIP(bare) === 0 && bare.endsWith(`.${base}`)));
  }

  /** One after the other, so that two callers never make two. A failure is not kept. */
  #current(permitted: readonly string[] | null): Promise<Authority> {
    const turn = this.#turn.then(() => this.#open(permitted));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #open(permitted: readonly string[] | null): Promise<Authority> {
    const { path, title, root, clock, damaged, storing } = this.#options;
    const constraints = permitted === null ? null : nameConstraints(permitted);
    const kept = this.#kept ?? (await loadAuthority(path, damaged, "a new intermediate is made"));
    this.#kept = kept;
    if (
      kept !== null &&
      // Made while the clock was ahead: to everybody else it is not valid yet.
      kept.notBefore <= clock.now() &&
      kept.notAfter - clock.now() >= INTERMEDIATE_MARGIN &&
      hasConstraints(kept.certificate, constraints) &&
      signedBy(kept, root)
    )
      return kept;
    const subject = authoritySubject(title, LIFETIME, 0, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      ...(constraints === null ? [] : [constraints]),
    ]);
    const made = await makeAuthority(root, subject, clock.now());
    // A leaf brings it along in its chain, so it is of use also where it is not stored.
    await storing.keep(path, `the embedded CA's ${title}`, () => saveAuthority(path, made));
    this.#kept = made;
    return made;
  }
}
