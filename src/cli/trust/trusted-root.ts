import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { messageOf, PaddockError, systemErrorCode } from "../../errors.ts";

/** A root as trust stores take it. */
export interface TrustedRoot {
  /** PEM of this one certificate, as Node writes it. */
  readonly pem: string;
  readonly fingerprint: string;
  /** Names this root and no other: of a file, and of an entry in an NSS database. */
  readonly fileName: string;
  readonly nickname: string;
}

/** @throws PaddockError where the file does not hold one CA certificate, alone. */
export async function readRoot(path: string): Promise<TrustedRoot> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    const code = systemErrorCode(cause);
    throw new PaddockError("ERR_NO_ROOT", `the root cannot be read at ${path}: ${code ?? messageOf(cause)}`, {
      fix:
        code === "EACCES"
          ? "call it by sudo: the storage belongs to the daemon's user"
          : "start the daemon once, which makes it, or name another one by --root FILE",
      cause,
    });
  }
  const refuse = (why: string): PaddockError =>
    new PaddockError("ERR_NO_ROOT", `${path} is not the certificate of a root: ${why}`, {
      fix: "give the ca/root.pem of a storage",
    });
  if ((text.match(/-----BEGIN /g) ?? []).length !== 1) throw refuse("it must hold one PEM block");
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(text);
  } catch {
    throw refuse("it holds no certificate");
  }
  if (!certificate.ca) throw refuse("it is a server's certificate");
  if (!certificate.checkIssued(certificate) || !certificate.verify(certificate.publicKey))
    throw refuse("somebody else signed it");
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  const short = fingerprint.slice(0, 16);
  return {
    pem: certificate.toString(),
    fingerprint,
    fileName: `paddock-${short}.crt`,
    nickname: `Paddock root ${short}`,
  };
}

/** Whether a PEM text is this root's certificate. */
export function isSameRoot(root: TrustedRoot, pem: string): boolean {
  try {
    return new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase() === root.fingerprint;
  } catch {
    return false;
  }
}
