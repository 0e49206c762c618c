/** What a worker needs to serve a certificate; it arrives by message and is never read from disk there. */
export interface TlsCertificate {
  /** DNS names (A-labels, lower case, `*.` for a wildcard) and IP addresses that it is served for. */
  readonly names: readonly string[];
  /** PEM: the end-entity certificate first, then the intermediates. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /** SHA-256 of the end-entity certificate's DER, lower-case hex: its identity in logs and comparisons. */
  readonly fingerprint: string;
}

/** Names one entry of what is served; a certificate that is served for other names than before is another. */
export function certificateKey({
  fingerprint,
  names,
}: Pick<TlsCertificate, "fingerprint" | "names">): string {
  return `${fingerprint} ${names.join(" ")}`;
}
