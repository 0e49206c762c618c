import { readFile } from "node:fs/promises";
import type { IssuerConfiguration } from "../config/configuration.ts";
import { messageOf, PaddockError } from "../errors.ts";
import { AcmeIssuer, type AcmeIssuerOptions } from "./issuer.ts";
import type { AccountKeeper } from "./stored-account.ts";

/**
 * The issuer of an `acme:` entry of the configuration.
 *
 * @throws PaddockError `acme.trusted-roots` when the file of `trustedRoots` cannot be read.
 */
export async function acmeIssuer(
  issuer: Extract<IssuerConfiguration, { kind: "acme" }>,
  context: Pick<
    AcmeIssuerOptions,
    "email" | "orders" | "board" | "preflight" | "clock" | "log" | "version"
  > & {
    /** Where the account is kept, by the issuer's name. */
    readonly accounts: (issuer: string) => AccountKeeper;
  },
): Promise<AcmeIssuer> {
  const { orders, ...common } = context;
  const trustedRoots = issuer.trustedRoots === null ? null : await readRoots(issuer.trustedRoots);
  const make = (
    { name, directory, eab }: Pick<typeof issuer, "name" | "directory" | "eab">,
    more: Partial<AcmeIssuerOptions>,
  ): AcmeIssuer => {
    const { profile } = issuer;
    const accounts = context.accounts(name);
    return new AcmeIssuer({ ...common, name, directory, profile, eab, trustedRoots, accounts, ...more });
  };
  // Neither a staging order nor its certificate is kept, and its chain leads to a root of its own.
  const staging = issuer.staging === null ? null : make(issuer.staging, { rehearses: true });
  const { preferredChain } = issuer;
  return make(issuer, { preferredChain, staging, ...(orders === undefined ? {} : { orders }) });
}

async function readRoots(path: string): Promise<string> {
  const fix = `Make ${path} a PEM file that Paddock's user may read, or remove trustedRoots of the issuer.`;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new PaddockError("acme.trusted-roots", `trustedRoots cannot be read: ${messageOf(cause)}`, {
      fix,
      cause,
    });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new PaddockError("acme.trusted-roots", `${path} has no PEM certificate in it`, { fix });
}
