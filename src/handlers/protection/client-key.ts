import { hash } from "node:crypto";
import { isIPv6 } from "node:net";
import { addressBits, isMapped } from "../../config/networks.ts";
import type { Exchange } from "../../exchange/exchange.ts";
import { fieldValue } from "../../http1/fields.ts";

/**
 * What stands for one client: an IPv4 address, or the /64 of an IPv6 one, since that is the least that a customer
 * is given (RFC 6177) and within it a machine takes a new address as often as it likes (RFC 8981).
 */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const [bare = ""] = address.split("%");
  if (!isIPv6(bare)) return bare;
  const bits = addressBits(bare);
  // A proxy may name an IPv4 client in this form; as a /64 all of them would be one.
  if (isMapped(bare, bits)) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join(".");
  return (bits >> 64n).toString(36);
}

/**
 * The key of a request by the value of a field, or by address where it has none. Only a hash of the value is kept
 * and told to other workers: it may be long, and it may be a secret.
 */
export function requestKey(exchange: Exchange, field: string | null): string {
  const value = field === null ? undefined : fieldValue(exchange.fields, field);
  return value === undefined
    ? addressKey(exchange.clientAddress)
    : `#${hash("sha256", value, "base64url").slice(0, 22)}`;
}
