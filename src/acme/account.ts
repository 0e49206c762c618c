import {
  calculateJwkThumbprint,
  exportJWK,
  FlattenedSign,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWK,
} from "jose";
import { PaddockError } from "../errors.ts";
import { unexpected, type Session, type Signer } from "./session.ts";

/** What is kept of an account. `url` is null from the making of the key to the CA's first answer. */
export interface StoredAccount {
  readonly directory: string;
  readonly url: string | null;
  /** EC P-256, with `d`. Never logged. */
  readonly privateJwk: Readonly<Record<string, unknown>>;
  /** The contact that the CA knows. */
  readonly email: string | null;
}

/** Where one issuer's account is kept. `save` MUST be durable when it resolves. */
export interface AccountKeeper {
  load(): Promise<StoredAccount | null>;
  save(account: StoredAccount): Promise<void>;
}

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
  let stored = await keeper.load();
  if (stored === null || stored.directory !== session.directory.url) {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    const privateJwk = { ...(await exportJWK(privateKey)) };
    stored = { directory: session.directory.url, url: null, privateJwk, email: null };
    await keeper.save(stored);
  }
  const signer = await signerOf(stored);
  if (stored.url === null) return await register(session, options, stored);
  if (stored.email !== email) {
    await session.post(stored.url, { contact: contactOf(email) }, { ...signer, kid: stored.url });
    await keeper.save({ ...stored, email });
  }
  return { ...signer, kid: stored.url, thumbprint: await calculateJwkThumbprint(signer.publicJwk, "sha256") };
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
        fix: "Set eab.keyId and eab.hmacKey of this issuer; the CA's account page shows them.",
      },
    );
  }
  const signer = await signerOf(stored);
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

async function signerOf(stored: StoredAccount): Promise<{ privateKey: CryptoKey; publicJwk: JWK }> {
  const privateJwk = stored.privateJwk as JWK;
  const { kty, crv, x, y } = privateJwk as Record<"kty" | "crv" | "x" | "y", string>;
  const privateKey = (await importJWK(privateJwk, "ES256")) as CryptoKey;
  return { privateKey, publicJwk: { kty, crv, x, y } };
}

function contactOf(email: string | null): string[] {
  return email === null ? [] : [`mailto:${email}`];
}
