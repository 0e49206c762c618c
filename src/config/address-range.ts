import { isIPv4, isIPv6 } from "node:net";

/** Addresses that begin with the same bits. */
export interface AddressRange {
  readonly address: string;
  /** Bits that count. */
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** `192.0.2.0/24`, `2001:db8::/32` or one address; undefined for anything else. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const [address = "", written, more] = text.split("/");
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) && !address.includes("%") ? "ipv6" : undefined;
  if (family === undefined || more !== undefined) return undefined;
  const most = family === "ipv4" ? 32 : 128;
  if (written === undefined) return { address, bits: most, family };
  const bits = /^\d{1,3}$/.test(written) ? Number(written) : Number.NaN;
  return bits <= most ? { address, bits, family } : undefined;
}
