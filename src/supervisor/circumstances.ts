import { hash } from "node:crypto";
import type { Configuration } from "../config/configuration.ts";

/**
 * A digest of all that the way from a CA to the sites depends on, but for the names, which make a certificate another
 * one. Without the keys of account bindings: it goes to the disk.
 */
export function circumstancesOf({ challenges, dns, listen, issuers }: Configuration): string {
  const asked = issuers.map((issuer) =>
    issuer.kind === "local"
      ? issuer
      : {
          ...issuer,
          eab: issuer.eab?.keyId,
          staging: issuer.staging && { ...issuer.staging, eab: issuer.staging.eab?.keyId },
        },
  );
  return hash("sha256", JSON.stringify({ challenges, dns, listen, asked })).slice(0, 32);
}
