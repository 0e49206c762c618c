import type { Clock } from "../clock.ts";
import { messageOf, PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import type { Issuer } from "./issuer.ts";
import type { Revocation } from "./revoked.ts";
import { sentenceOf } from "./sentences.ts";
import type { CertificateStore, StoredCertificate } from "./store.ts";

/** What a subscriber may say of its own certificate: words and numbers of RFC 5280 §5.3.1. */
export const REVOCATION_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
} as const;

export type RevocationReason = keyof typeof REVOCATION_REASONS;

interface RevocationContext {
  readonly store: CertificateStore;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What is to be done with a certificate that is kept; `subject` is null for one from files. */
interface Replaceable {
  readonly subject: { readonly stored: StoredCertificate | null; readonly issuers: readonly Issuer[] } | null;
  renewNow(): Promise<void>;
}

/**
 * Revokes the certificate of a job, and has it order another with a new key at once.
 *
 * @throws PaddockError `certificate.brought`, or why the issuer or the order failed.
 */
export async function revokeAndReplace(
  job: Replaceable,
  wanted: { readonly name: string; readonly reason: RevocationReason; readonly signal: AbortSignal },
  context: RevocationContext,
): Promise<void> {
  const { name } = wanted;
  if (job.subject === null) {
    throw new PaddockError("certificate.brought", `the certificate of ${name} comes from files`, {
      fix: "Revoke it where you got it, and put a new one into the files.",
    });
  }
  const { stored, issuers } = job.subject;
  await revoke(stored, issuers, wanted, context);
  try {
    await job.renewNow();
  } catch (cause) {
    const sentence = `the certificate of ${name} is revoked and still served, since there is no new one yet: ${messageOf(cause)}`;
    throw new PaddockError("certificate.revoked-not-replaced", sentence, {
      fix: "It is tried again by itself; `paddock certs list` shows when.",
      cause,
    });
  }
}

/**
 * Revokes a certificate at the issuer that made it, so that it is never loaded from the store again.
 *
 * @throws PaddockError `certificate.not-stored`, `certificate.no-revocation`; what the issuer says. After an
 *   error that is `uncertain` the revocation is repeated at the next start, else the certificate stays in use.
 */
async function revoke(
  stored: StoredCertificate | null,
  issuers: readonly Issuer[],
  wanted: { readonly name: string; readonly reason: RevocationReason; readonly signal: AbortSignal },
  context: RevocationContext,
): Promise<void> {
  const { name, reason, signal } = wanted;
  if (stored === null) {
    throw new PaddockError("certificate.not-stored", `there is no certificate for ${name} to revoke`, {
      fix: "A temporary one is nobody's to revoke; `paddock certs list` shows what is stored.",
    });
  }
  const issuer = issuers.find((candidate) => candidate.name === stored.issuer);
  const { issuer: by, names, fingerprint, chain, key } = stored;
  if (issuer?.revoke === undefined) {
    throw new PaddockError("certificate.no-revocation", `${by} revokes no certificates`, {
      fix: "For a new key use `paddock certs renew`; the old key goes with its file.",
    });
  }
  const revocation = { issuer: by, names, fingerprint, reason: REVOCATION_REASONS[reason], chain, key };
  const { revoked } = context.store;
  await revoked.begin(revocation);
  try {
    await issuer.revoke(revocation, signal);
  } catch (error) {
    if (!isUncertain(error)) await revoked.abandon(revocation);
    throw error;
  }
  await confirm(revocation, context, `for ${reason}`);
}

/** Repeats what an earlier process began and did not see confirmed. Never rejects. */
export async function finishRevocations(
  issuers: readonly Issuer[],
  signal: AbortSignal,
  context: RevocationContext,
): Promise<void> {
  try {
    for (const revocation of await context.store.revoked.unconfirmed()) {
      const issuer = issuers.find((candidate) => candidate.name === revocation.issuer);
      if (issuer?.revoke === undefined) continue;
      await issuer.revoke(revocation, signal);
      await confirm(revocation, context, "as it was begun before the restart");
    }
  } catch (error) {
    if (signal.aborted) return;
    const sentence = `a revocation that was begun is not confirmed: ${sentenceOf(error)} It is repeated at the next start or reload.`;
    context.log.warn({ err: error }, sentence);
  }
}

async function confirm(
  revocation: Revocation,
  { store, clock, log }: RevocationContext,
  why: string,
): Promise<void> {
  await store.revoked.confirm(revocation, clock.now());
  const { fingerprint, issuer, names } = revocation;
  log.warn({ fingerprint }, `the certificate of ${issuer} for ${names.join(", ")} is revoked, ${why}`);
}

/** Whether the issuer may have revoked all the same: an answer was lost. */
function isUncertain(error: unknown): boolean {
  return typeof error === "object" && error !== null && (error as { uncertain?: unknown }).uncertain === true;
}
