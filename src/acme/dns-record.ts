import { createHash } from "node:crypto";

/** The TXT record that answers a dns-01 challenge (RFC 8555 §8.4), without what CNAMEs make of its name. */
export function dnsRecord(name: string, keyAuthorization: string): { name: string; value: string } {
  const value = createHash("sha256").update(keyAuthorization).digest("base64url");
  return { name: `_acme-challenge.${name}`, value };
}
