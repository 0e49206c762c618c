import { isIP } from "node:net";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { certificateKey, type TlsCertificate } from "./certificate.ts";
import { HeldCertificate } from "./held-certificate.ts";

/** A certificate with its OpenSSL context, made when it is first asked for. */
export interface ServedName {
  readonly certificate: TlsCertificate;
  readonly context: SecureContext;
}

/**
 * Contexts that are kept; the one that was not asked for the longest goes first. One holds some 50 KB, so that a
 * visit to each of ten thousand names must not keep them all; to make one costs about what a handshake does.
 */
const MOST_CONTEXTS = 2000;

/** Server name to certificate: exact name first, then a wildcard of one label (RFC 9525 section 6.3). */
export class CertificateTable {
  /** By certificateKey. */
  readonly #all = new Map<string, TlsCertificate>();
  readonly #byName = new Map<string, TlsCertificate>();
  /** Texts of intermediates that have been seen. */
  readonly #issuers = new Map<string, string>();
  /** By fingerprint, made when first needed, in the order of their last use. */
  readonly #contexts = new Map<string, SecureContext>();
  #options: SecureContextOptions = {};
  #unnamed: SecureContext | null = null;
  #address: TlsCertificate | undefined;

  constructor(policy: SecureContextOptions, ticketKeys: Buffer) {
    this.configure(policy, ticketKeys);
  }

  /** `ticketKeys`: 48 bytes that all workers share, so that a session resumes in any of them. */
  configure(policy: SecureContextOptions, ticketKeys: Buffer): void {
    this.#options = { ...policy, ticketKeys };
    this.#contexts.clear();
    this.#unnamed = null;
  }

  /** `removed`: by certificateKey. One that is added again has its context made anew. */
  change(added: readonly TlsCertificate[], removed: readonly string[]): void {
    for (const key of removed) {
      this.#contexts.delete(this.#all.get(key)?.fingerprint ?? "");
      this.#all.delete(key);
    }
    const before = this.#all.size;
    const fresh = added.map((certificate) => {
      this.#contexts.delete(certificate.fingerprint);
      const held = new HeldCertificate(certificate, this.#issuers);
      this.#all.set(certificateKey(certificate), held);
      return held;
    });
    this.#unnamed = null;
    // Ten thousand come in forty parts, and a renewal is one more; only what takes something away counts all again.
    if (removed.length === 0 && this.#all.size === before + added.length) this.#name(fresh);
    else {
      this.#byName.clear();
      this.#address = undefined;
      this.#name(this.#all.values());
    }
  }

  #name(certificates: Iterable<TlsCertificate>): void {
    for (const certificate of certificates) {
      for (const name of certificate.names) {
        this.#byName.set(name, certificate);
        if (isIP(name) !== 0) this.#address ??= certificate;
      }
    }
  }

  /** For a client that sends no server name: the certificate of an IP address, if there is one. */
  get unnamed(): SecureContext {
    this.#unnamed ??=
      this.#address === undefined ? createSecureContext(this.#options) : this.#contextOf(this.#address);
    return this.#unnamed;
  }

  find(serverName: string): ServedName | undefined {
    const certificate = this.#certificateOf(serverName.toLowerCase());
    return certificate === undefined ? undefined : { certificate, context: this.#contextOf(certificate) };
  }

  /** Of what `find` gives, without making its context; null for none. */
  fingerprint(serverName: string): string | null {
    return this.#certificateOf(serverName)?.fingerprint ?? null;
  }

  /** Whether a connection whose handshake named `serverName` may carry requests for `host` (421 if not). */
  covers(serverName: string, host: string): boolean {
    if (serverName === "" || serverName === host) return true;
    const certificate = this.#certificateOf(serverName);
    return certificate !== undefined && certificate === this.#certificateOf(host);
  }

  #certificateOf(name: string): TlsCertificate | undefined {
    const exact = this.#byName.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf(".");
    return dot > 0 ? this.#byName.get(`*${name.slice(dot)}`) : undefined;
  }

  #contextOf({ fingerprint, chain, key }: TlsCertificate): SecureContext {
    const known = this.#contexts.get(fingerprint);
    if (known !== undefined) {
      // With few there is no order to keep.
      if (this.#contexts.size > MOST_CONTEXTS / 2) {
        this.#contexts.delete(fingerprint);
        this.#contexts.set(fingerprint, known);
      }
      return known;
    }
    const context = createSecureContext({ ...this.#options, cert: chain, key });
    this.#contexts.set(fingerprint, context);
    for (const oldest of this.#contexts.keys()) {
      if (this.#contexts.size <= MOST_CONTEXTS) break;
      this.#contexts.delete(oldest);
    }
    return context;
  }
}
