import { BlockList, isIP } from "node:net";

/** Endings that no public CA certifies, since they never lead anywhere public; with where that is written. */
const LOCAL_SUFFIXES = [
  "localhost", // RFC 6761 §6.3
  "test", // RFC 6761 §6.2
  "local", // RFC 6762 §3
  "internal", // reserved by ICANN for private use, 2024
  "home.arpa", // RFC 8375
];

const localAddresses = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
] as const) {
  localAddresses.addSubnet(network, prefix, "ipv4");
}
localAddresses.addSubnet("::", 127, "ipv6"); // :: and ::1
localAddresses.addSubnet("fc00::", 7, "ipv6");
localAddresses.addSubnet("fe80::", 10, "ipv6");

/** Whether a name, in lower case, is one of the local endings or below one. */
export function isBelowLocalSuffix(name: string): boolean {
  return LOCAL_SUFFIXES.some((suffix) => name === suffix || name.endsWith(`.${suffix}`));
}

/**
 * Whether no public CA may certify the name (CA/Browser Forum baseline requirements §4.2.2: internal names and
 * reserved addresses). Such names get their certificate from the embedded CA without being asked.
 */
export function isLocalName(name: string): boolean {
  const family = isIP(name);
  if (family !== 0) return localAddresses.check(name, family === 4 ? "ipv4" : "ipv6");
  const host = name.toLowerCase().replace(/^\*\./, "").replace(/\.$/, "");
  if (!host.includes(".")) return true;
  return isBelowLocalSuffix(host);
}
