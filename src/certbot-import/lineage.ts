import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { readPair, type CertificatePair } from "../certificates/certificate-pair.ts";
import { messageOf, systemErrorCode } from "../errors.ts";

/** One certificate with its successors, as certbot calls it: `renewal/NAME.conf` and `live/NAME/`. */
export interface Lineage {
  readonly name: string;
  readonly pair: CertificatePair;
  /** URL of the ACME directory. */
  readonly server: string;
  /** Id of certbot's account at that server; null where the file names none. */
  readonly account: string | null;
  /** How certbot proves control of the names: `webroot`, `nginx`, `dns-cloudflare`, … */
  readonly authenticator: string;
}

/** A lineage that cannot be used, and why. */
export interface DamagedLineage {
  readonly name: string;
  readonly reason: string;
}

/** Certbot's default, where the file names no server. */
const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";

/**
 * All lineages of a certbot folder; one that is damaged does not hide the others.
 *
 * @throws Error of the file system when there is no `renewal` folder that may be read.
 */
export async function readLineages(folder: string): Promise<(Lineage | DamagedLineage)[]> {
  const files = (await readdir(join(folder, "renewal"))).filter((file) => file.endsWith(".conf")).sort();
  return await Promise.all(files.map((file) => readLineage(folder, file)));
}

async function readLineage(folder: string, file: string): Promise<Lineage | DamagedLineage> {
  const name = basename(file, ".conf");
  try {
    const values = parseRenewalFile(await readFile(join(folder, "renewal", file), "utf8"));
    // By name and not by the paths in the file: the folder may be a copy, or mounted somewhere else.
    const [chain, key] = await Promise.all(
      ["fullchain.pem", "privkey.pem"].map((part) => readFile(join(folder, "live", name, part), "utf8")),
    );
    const pair = readPair(String(chain), String(key));
    if (pair.certified.length === 0) return { name, reason: "its certificate is for no name" };
    return {
      name,
      pair,
      server: values.get("server") ?? LETS_ENCRYPT,
      account: values.get("account") ?? null,
      authenticator: values.get("authenticator") ?? "unknown",
    };
  } catch (error) {
    const missing = systemErrorCode(error) === "ENOENT";
    return { name, reason: missing ? `a file of it is missing: ${messageOf(error)}` : messageOf(error) };
  }
}

/** The keys of certbot's renewal file, which is ConfigObj: `key = value`, sections that matter not to us. */
function parseRenewalFile(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, key, value = ""] = /^\s*([A-Za-z0-9_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined) values.set(key, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return values;
}
