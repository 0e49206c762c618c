import { isIP } from "node:net";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { TlsCertificate } from "./certificate.ts";

/** A certificate with its OpenSSL context, made when it is first asked for. */
export interface ServedName {
  readonly certificate: TlsCertificate;
  readonly context: SecureContext;
}

/** Server name to certificate: exact name first, then a wildcard of one label (RFC 9525 section 6.3). */
export class CertificateTable {
  readonly #byName = new Map<string, TlsCertificate>();
  readonly #contexts = new Map<string, SecureContext>();
  readonly #options: SecureContextOptions;
  /** For a client that sends no server name: the certificate of an IP address, if there is one. */
  readonly unnamed: SecureContext;

  /** `ticketKeys`: 48 bytes that all workers share, so that a session resumes in any of them. */
  constructor(certificates: readonly TlsCertificate[], policy: SecureContextOptions, ticketKeys: Buffer) {
    this.#options = { ...policy, ticketKeys };
    let unnamed: TlsCertificate | undefined;
    for (const certificate of certificates) {
      for (const name of certificate.names) {
        this.#byName.set(name, certificate);
        if (isIP(name) !== 0) unnamed ??= certificate;
      }
    }
    this.unnamed = unnamed === undefined ? createSecureContext(this.#options) : this.#contextOf(unnamed);
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

  #contextOf(certificate: TlsCertificate): SecureContext {
    let context = this.#contexts.get(certificate.fingerprint);
    if (context === undefined) {
      context = createSecureContext({ ...this.#options, cert: certificate.chain, key: certificate.key });
      this.#contexts.set(certificate.fingerprint, context);
    }
    return context;
  }
}
