import { certificateKey, type TlsCertificate } from "../tls/certificate.ts";

/** What a worker has to be told to come from what it has to what is served now; a part of it, where it is long. */
export interface CertificateChanges {
  readonly added: readonly TlsCertificate[];
  /** By certificateKey. */
  readonly removed: readonly string[];
}

/** Certificates in one message; a message of many megabytes stops the worker for as long as it takes to read it. */
const MOST_AT_ONCE = 250;

/**
 * The difference between two sets, as messages: with ten thousand sites a renewal is one of four kilobytes, and not of
 * forty megabytes.
 *
 * @param before keys of what the worker has.
 * @param after by key.
 */
export function certificateChanges(
  before: ReadonlySet<string>,
  after: ReadonlyMap<string, TlsCertificate>,
): CertificateChanges[] {
  const added = [...after].flatMap(([key, certificate]) => (before.has(key) ? [] : [certificate]));
  const removed = [...before].filter((key) => !after.has(key));
  if (added.length === 0 && removed.length === 0) return [];
  const changes: CertificateChanges[] = [];
  for (let at = 0; at === 0 || at < added.length; at += MOST_AT_ONCE)
    changes.push({ added: added.slice(at, at + MOST_AT_ONCE), removed: at === 0 ? removed : [] });
  return changes;
}

/** By key. */
export function keyed(certificates: readonly TlsCertificate[]): ReadonlyMap<string, TlsCertificate> {
  return new Map(certificates.map((certificate) => [certificateKey(certificate), certificate]));
}
