import { readFile } from "node:fs/promises";
import { messageOf, PaddockError, systemErrorCode } from "../errors.ts";
import { covers, readPair, type CertificatePair } from "./certificate-pair.ts";

/**
 * A certificate that the operator brings: `certificate: { cert: FILE, key: FILE }`.
 *
 * One that has ended is no error here, since a restart must not take every other site down with it.
 *
 * @throws PaddockError `certificate.file-unreadable`, `certificate.key-mismatch`, `certificate.lacks-name`
 */
export async function readCertificateFiles(
  files: { readonly cert: string; readonly key: string },
  names: readonly string[],
): Promise<CertificatePair> {
  const chain = await read(files.cert);
  const key = await read(files.key);
  let pair: CertificatePair;
  try {
    pair = readPair(chain, key);
  } catch (error) {
    const mismatch = error instanceof PaddockError && error.code === "certificate.key-mismatch";
    throw new PaddockError(
      mismatch ? "certificate.key-mismatch" : "certificate.file-unreadable",
      `${files.cert} and ${files.key} cannot be used: ${messageOf(error)}`,
      {
        fix: mismatch
          ? `Set cert and key to the two files of the same certificate; \`openssl x509 -noout -pubkey\` and \`openssl pkey -pubout\` must print the same.`
          : `Make cert a PEM file with the site's certificate first, and key its unencrypted PEM key.`,
        cause: error,
      },
    );
  }
  const missing = names.filter((name) => !covers(pair.certified, name));
  if (missing.length === 0) return pair;
  const certified = pair.certified.length === 0 ? "no names" : pair.certified.join(", ");
  throw new PaddockError(
    "certificate.lacks-name",
    `${files.cert} is for ${certified}, not for ${missing.join(", ")}`,
    {
      fix: "Get a certificate with all names of the site as subjectAltName, or set `certificate: auto`.",
    },
  );
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const denied = ["EACCES", "EPERM"].includes(systemErrorCode(cause) ?? "");
    throw new PaddockError("certificate.file-unreadable", `cannot read ${path}: ${messageOf(cause)}`, {
      fix: denied ? `Let Paddock's user read ${path}.` : "Check the path in the site's `certificate`.",
      cause,
    });
  }
}
