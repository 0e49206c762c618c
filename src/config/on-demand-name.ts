import { isIP } from "node:net";
import { isLocalName } from "./local-names.ts";
import { parseSiteName } from "./site-name.ts";

/**
 * Whether a certificate may be obtained on demand for what a client called us, before anybody is asked: a full host
 * name in lower case as TLS compares it, no wildcard and no address.
 *
 * @param local whether the embedded CA is asked; no public CA certifies local names.
 */
export function isOnDemandName(name: string, local: boolean): boolean {
  if (!name.includes(".") || name.includes("*") || isIP(name) !== 0) return false;
  const parsed = parseSiteName(name);
  return "value" in parsed && parsed.value === name && (local || !isLocalName(name));
}
