import { KNOWN_DIRECTORIES } from "./formats.ts";

/** Let's Encrypt's: they certify IP addresses for 160 hours and not longer. */
const SHORTLIVED_ONLY = ["letsencrypt", "letsencrypt-staging"].map((name) => KNOWN_DIRECTORIES[name]);

/** Whether an issuer may certify IP addresses (RFC 8738); of a CA that is not known, it is to tell. */
export function certifiesAddresses(issuer: {
  readonly directory: string;
  readonly profile: string | null;
}): boolean {
  return issuer.profile === "shortlived" || !SHORTLIVED_ONLY.includes(issuer.directory);
}
