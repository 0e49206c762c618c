import { readPair, type CertificatePair } from "./certificate-pair.ts";
import type { Issuer } from "./issuer.ts";

/** What is served, by the embedded CA, until there is something that browsers trust. */
export async function mintTemporary(
  local: Issuer,
  names: readonly string[],
  signal: AbortSignal,
): Promise<CertificatePair> {
  const issued = await local.issue({ names, replaces: null, signal });
  return readPair(issued.chain, issued.key);
}
