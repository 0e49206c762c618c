import { isIP } from "node:net";

/**
 * Whether the ACME server may certify a name. `allowed` holds names, `*.NAME` for everything below a name, however
 * deep, and addresses. A wildcard is never certified: http-01 proves one name (RFC 8555 §8.3).
 */
export function mayCertify(allowed: readonly string[], name: string): boolean {
  if (isIP(name) !== 0) return allowed.includes(name);
  if (!/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
    return false;
  if (name.length > 253) return false;
  return allowed.some((entry) => name === entry || (entry.startsWith("*.") && name.endsWith(entry.slice(1))));
}
