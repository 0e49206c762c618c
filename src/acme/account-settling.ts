import { isProblem } from "./problem.ts";
import type { Session } from "./session.ts";
import { signerOf, type AccountKeeper, type StoredAccount } from "./stored-account.ts";

/** What is kept, once a rollover or a deactivation that was interrupted is brought to its end. */
export async function loadSettled(session: Session, keeper: AccountKeeper): Promise<StoredAccount | null> {
  const stored = await keeper.load();
  if (stored === null || stored.directory !== session.directory.url) return stored;
  if (stored.leaving === true) {
    await settleLeaving(session, keeper, stored);
    return null;
  }
  return await settleRollover(session, keeper, stored);
}

/**
 * Ends a rollover that was interrupted: the CA is asked for the account of the new key (RFC 8555 §7.3.1), and
 * what it knows is kept.
 */
async function settleRollover(
  session: Session,
  keeper: AccountKeeper,
  stored: StoredAccount,
): Promise<StoredAccount> {
  const { nextJwk, ...before } = stored;
  if (nextJwk === undefined) return stored;
  const after = { ...before, privateJwk: nextJwk };
  const settled = (await knows(session, after)) ? after : before;
  await keeper.save(settled);
  return settled;
}

async function knows(session: Session, stored: StoredAccount): Promise<boolean> {
  const signer = await signerOf(stored.privateJwk);
  try {
    const existing = { onlyReturnExisting: true };
    const { location } = await session.post(session.directory.newAccount, existing, { ...signer, kid: null });
    return location === stored.url;
  } catch (error) {
    if (isProblem(error, "accountDoesNotExist")) return false;
    throw error;
  }
}

/** Tells the CA that the account is left, and forgets it. */
export async function settleLeaving(
  session: Session,
  keeper: AccountKeeper,
  stored: StoredAccount,
): Promise<void> {
  if (stored.url !== null) {
    const signer = await signerOf(stored.privateJwk);
    try {
      await session.post(stored.url, { status: "deactivated" }, { ...signer, kid: stored.url });
    } catch (error) {
      // RFC 8555 §7.3.6: a deactivated account is answered with 401 unauthorized. So it is one.
      if (!isProblem(error, "unauthorized") && !isProblem(error, "accountDoesNotExist")) throw error;
    }
  }
  await keeper.remove();
}
