import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { exportJWK, importPKCS8, type CryptoKey } from "jose";
import { messageOf, PaddockError } from "../errors.ts";
import { openKept } from "./account.ts";
import { isInterruption } from "./kept-order.ts";
import { isProblem } from "./problem.ts";
import type { Session, Signer } from "./session.ts";
import type { AccountKeeper } from "./stored-account.ts";

/**
 * Revokes a certificate (RFC 8555 §7.6): signed by the account, and where that is not the one that ordered it,
 * or there is none any more, by the certificate's own key. One that is revoked already is as good.
 *
 * @param revoked.reason CRLReason of RFC 5280 §5.3.1.
 * @throws PaddockError `acme.no-revocation`; AcmeProblem
 */
export async function revokeCertificate(
  session: Session,
  keeper: AccountKeeper,
  revoked: { chain: string; key: string; reason: number },
): Promise<void> {
  const { revokeCert, url } = session.directory;
  if (revokeCert === null) {
    throw new PaddockError("acme.no-revocation", `${url} has no revokeCert: it revokes nothing by ACME`, {
      fix: "Revoke the certificate at the CA's own site or by its support.",
    });
  }
  const certificate = new X509Certificate(revoked.chain).raw.toString("base64url");
  const payload = { certificate, reason: revoked.reason };
  try {
    const signer = (await accountOf(session, keeper)) ?? (await certificateSigner(revoked.key));
    try {
      await session.post(revokeCert, payload, signer);
    } catch (error) {
      if (signer.kid === null || !disowns(error)) throw error;
      await session.post(revokeCert, payload, await certificateSigner(revoked.key));
    }
  } catch (error) {
    if (isProblem(error, "alreadyRevoked")) return;
    throw isInterruption(error) || session.signal.aborted ? new RevocationUnknown(error) : error;
  }
}

/** The answer was lost, so the certificate may be revoked or not. */
class RevocationUnknown extends PaddockError {
  readonly uncertain = true;

  constructor(cause: unknown) {
    super("acme.revocation-unknown", `the CA may have revoked the certificate or not: ${messageOf(cause)}`, {
      fix: "Ask once more; else it is repeated at the next start, which does not load the certificate again.",
      cause,
    });
  }
}

async function accountOf(session: Session, keeper: AccountKeeper): Promise<Signer | null> {
  try {
    return (await openKept(session, keeper)).account;
  } catch (error) {
    if (error instanceof PaddockError && error.code === "acme.no-account") return null;
    throw error;
  }
}

function disowns(error: unknown): boolean {
  return isProblem(error, "unauthorized") || isProblem(error, "accountDoesNotExist");
}

/** Certificates that were imported may have RSA keys; ours are P-256. */
async function certificateSigner(pem: string): Promise<Signer> {
  const key = createPrivateKey(pem);
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  const algorithm =
    key.asymmetricKeyType === "rsa" ? "RS256" : namedCurve === "secp384r1" ? "ES384" : "ES256";
  const privateKey: CryptoKey = await importPKCS8(pem, algorithm);
  return { privateKey, publicJwk: await exportJWK(createPublicKey(key)), kid: null, algorithm };
}
