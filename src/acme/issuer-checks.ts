import { isIP } from "node:net";
import { certifiesAddresses } from "../config/address-names.ts";
import { PaddockError } from "../errors.ts";

/**
 * Refuses before the CA is asked what it is known to refuse: so the next issuer gets its turn at once, and nothing
 * counts against a limit.
 *
 * @throws PaddockError `acme.addresses-need-profile`
 */
export function checkAddresses(
  names: readonly string[],
  issuer: { readonly name: string; readonly directory: string; readonly profile: string | null },
): void {
  const address = names.find((name) => isIP(name) !== 0);
  if (address === undefined || certifiesAddresses(issuer)) return;
  throw new PaddockError(
    "acme.addresses-need-profile",
    `${issuer.name} certifies IP addresses such as ${address} under its profile shortlived only`,
    { fix: "Set `profile: shortlived` of this issuer, or leave the address out." },
  );
}
