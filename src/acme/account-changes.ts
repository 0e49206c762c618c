import { exportJWK, FlattenedSign, generateKeyPair } from "jose";
import { PaddockError } from "../errors.ts";
import { openKept } from "./account.ts";
import { settleLeaving } from "./account-settling.ts";
import { AcmeProblem } from "./problem.ts";
import type { Session } from "./session.ts";
import { signerOf, type AccountKeeper } from "./stored-account.ts";

/**
 * Gives the account a new key (RFC 8555 §7.3.5); its URL stays.
 *
 * The new key is kept beside the old one before the CA hears of it. After a crash in between, the next use
 * of the account asks the CA which of them it knows.
 *
 * @throws PaddockError `acme.no-account`, `acme.no-key-change`; AcmeProblem, and the old key is in force then.
 */
export async function rollOver(session: Session, keeper: AccountKeeper): Promise<void> {
  const { keyChange, url } = session.directory;
  const { stored, account } = await openKept(session, keeper);
  if (keyChange === null) {
    throw new PaddockError("acme.no-key-change", `${url} has no keyChange: it gives accounts no new keys`, {
      fix: "Deactivate the account instead; the next order then makes a new one.",
    });
  }
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const next = { ...stored, nextJwk: { ...(await exportJWK(privateKey)) } };
  await keeper.save(next);
  const signer = await signerOf(next.nextJwk);
  const change = { account: stored.url, oldKey: account.publicJwk };
  const inner = await new FlattenedSign(new TextEncoder().encode(JSON.stringify(change)))
    .setProtectedHeader({ alg: "ES256", jwk: signer.publicJwk, url: keyChange })
    .sign(signer.privateKey);
  try {
    await session.post(keyChange, inner, account);
  } catch (error) {
    // A refusal is certain. After anything else (a lost answer, a cut connection) only the CA knows which key holds.
    if (error instanceof AcmeProblem && !error.transient) await keeper.save(stored);
    throw error;
  }
  await keeper.save({ ...stored, privateJwk: next.nextJwk });
}

/**
 * Deactivates the account (RFC 8555 §7.3.6) and forgets its key, which the CA does not take again.
 *
 * That it is leaving is kept before the CA hears of it, so that after a crash in between the next use
 * of the account tells it.
 *
 * @throws PaddockError `acme.no-account`; AcmeProblem
 */
export async function deactivateAccount(session: Session, keeper: AccountKeeper): Promise<void> {
  const { stored } = await openKept(session, keeper);
  await keeper.save({ ...stored, leaving: true });
  await settleLeaving(session, keeper, stored);
}
