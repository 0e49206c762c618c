import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../errors.ts";

/** Certbot's account at one CA. */
export interface CertbotAccount {
  /** The account's URL. */
  readonly url: string;
  /** RSA or EC, with its private parts. Never shown. */
  readonly privateJwk: Readonly<Record<string, unknown>>;
}

/**
 * `accounts/HOST/PATH/ID/` of a certbot folder, where HOST and PATH are those of the directory's URL.
 *
 * @returns the account, or why there is none as a clause.
 */
export async function readAccount(
  folder: string,
  server: string,
  id: string,
): Promise<CertbotAccount | { reason: string }> {
  if (!/^[0-9a-f]{32}$/.test(id)) return { reason: "its id is not one of certbot's" };
  try {
    const { host, pathname } = new URL(server);
    const home = join(folder, "accounts", host, ...pathname.split("/").filter((part) => part !== ""), id);
    const [registration, key] = await Promise.all(
      ["regr.json", "private_key.json"].map(async (file) => await readObject(join(home, file))),
    );
    const url = registration?.["uri"];
    if (typeof url !== "string" || URL.parse(url)?.protocol !== "https:")
      return { reason: "regr.json has no https URL" };
    if (key === undefined || typeof key["d"] !== "string")
      return { reason: "private_key.json has no private key" };
    return { url, privateJwk: key };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

/** Without what was read in the message: it may be a key. */
async function readObject(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, "utf8");
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    throw new Error(`${path} is not JSON`);
  }
}
