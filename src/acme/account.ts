import { calculateJwkThumbprint, exportJWK, FlattenedSign, generateKeyPair, type JWK } from "jose";
import { PaddockError } from "../errors.ts";
import { loadSettled } from "./account-settling.ts";
import { unexpected, type Session, type Signer } from "./session.ts";
import { signerOf, type AccountKeeper, type StoredAccount } from "./stored-account.ts";

export interface ExternalAccount {
  readonly keyId: string;
  /** base64url, as the CA shows it. */
  readonly hmacKey: string;
}

/** A registered account: what signs requests and makes key authorizations. */
export interface Account extends Signer {
  readonly kid: string;
  /** Of the public key (RFC 7638), for key authorizations. */
  readonly thumbprint: string;
}

export interface AccountOptions {
  readonly keeper: AccountKeeper;
  readonly email: string | null;
  readonly eab: ExternalAccount | null;
}

/**
 * The account: the kept one, or a new one (RFC 8555 §7.3).
 *
 * The key is kept before the CA hears of it. After a crash in between, newAccount with the same key gives the
 * account that exists already, so that there is never a second one.
 */
export async function openAccount(session: Session, options: AccountOptions): Promise<Account> {
  const { keeper, email } = options;
  let stored = await loadSettled(session, keeper);
  if (stored === null || stored.directory !== session.directory.url) {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    const privateJwk = { ...(await exportJWK(privateKey)) };
    stored = { directory: session.directory.url, url: null, privateJwk, email: null };
    await keeper.save(stored);
  }
  const signer = await signerOf(stored.privateJwk);
  if (stored.url === null) return await register(session, options, stored);
  if (stored.email !== email) {
    await session.post(stored.url, { contact: contactOf(email) }, { ...signer, kid: stored.url });
    await keeper.save({ ...stored, email });
  }
  return { ...signer, kid: stored.url, thumbprint: await calculateJwkThumbprint(signer.publicJwk, "sha256") };
}

/** The account that is there already, and never a new one. @throws PaddockError `acme.no-account` */
export async function openKept(
  session: Session,
  keeper: AccountKeeper,
): Promise<{ stored: StoredAccount & { url: string }; account: Account }> {
  const stored = await loadSettled(session, keeper);
  if (stored === null || stored.url === null || stored.directory !== session.directory.url) {
    throw new PaddockError("acme.no-account", `there is no account at ${session.directory.url}`, {
      fix: "Nothing has to be done: the first order makes one.",
    });
  }
  const { url } = stored;
  const signer = await signerOf(stored.privateJwk);
  const thumbprint = await calculateJwkThumbprint(signer.publicJwk, "sha256");
  return { stored: { ...stored, url }, account: { ...signer, kid: url, thumbprint } };
}

/** Forgets the account's URL, not its key: for a CA that does not know the account any more. */
export async function forgetRegistration(keeper: AccountKeeper): Promise<void> {
  const stored = await keeper.load();
  if (stored !== null) await keeper.save({ ...stored, url: null });
}

async function register(session: Session, options: AccountOptions, stored: StoredAccount): Promise<Account> {
  const { directory } = session;
  if (directory.meta.externalAccountRequired && options.eab === null) {
    throw new PaddockError(
      "acme.external-account-required",
      `${directory.url} asks for external account binding`,
      {
        fix: "Set eab.keyId and eab.hmacKey of this issuer, or below its `staging` for a staging directory; the CA's account page shows them.",
      },
    );
  }
  const signer = await signerOf(stored.privateJwk);
  const payload = {
    termsOfServiceAgreed: true,
    ...(options.email === null ? {} : { contact: contactOf(options.email) }),
    ...(options.eab === null
      ? {}
      : { externalAccountBinding: await bindingOf(options.eab, directory.newAccount, signer.publicJwk) }),
  };
  const response = await session.post(directory.newAccount, payload, { ...signer, kid: null });
  if (response.location === null) throw unexpected("newAccount gave no Location");
  const status = response.body["status"] ?? "valid";
  if (status !== "valid") {
    throw new PaddockError("acme.account-not-valid", `the account is ${JSON.stringify(status)}, not valid`, {
      fix: "Remove the account folder below the storage, so that a new account is made.",
    });
  }
  await options.keeper.save({ ...stored, url: response.location, email: options.email });
  const thumbprint = await calculateJwkThumbprint(signer.publicJwk, "sha256");
  return { ...signer, kid: response.location, thumbprint };
}

/** The binding of RFC 8555 §7.3.4: the account's public key, MACed with the key that the CA gave out. */
async function bindingOf(eab: ExternalAccount, url: string, publicJwk: JWK): Promise<object> {
  const secret = Buffer.from(eab.hmacKey, "base64url");
  return await new FlattenedSign(new TextEncoder().encode(JSON.stringify(publicJwk)))
    .setProtectedHeader({ alg: "HS256", kid: eab.keyId, url })
    .sign(new Uint8Array(secret));
}

function contactOf(email: string | null): string[] {
  return email === null ? [] : [`mailto:${email}`];
}
