import { isIPv4 } from "node:net";

/**
 * The name under which an IP address is found in the DNS: RFC 1035 section 3.5 for IPv4, RFC 3596 section 2.5 for
 * IPv6. A server name in a ClientHello cannot be an address, so RFC 8738 section 6 sends this in its place.
 *
 * @param address valid, without a zone.
 */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split(".").toReversed().join(".")}.in-addr.arpa`;
  return `${hexDigits(address).split("").toReversed().join(".")}.ip6.arpa`;
}

/** The 32 digits of an IPv6 address. The URL parser writes it in hexadecimal groups whatever form it had. */
function hexDigits(address: string): string {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [front = "", back] = canonical.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const before = groups(front);
  const after = groups(back ?? "");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].map((group) => group.padStart(4, "0")).join("");
}
