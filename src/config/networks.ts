import { isIPv4, isIPv6 } from "node:net";
import type { Parsed } from "./addresses.ts";
import type { NetworkConfiguration } from "./configuration.ts";

const EVERYBODY: readonly NetworkConfiguration[] = [
  { address: "0.0.0.0", prefix: 0, family: "ipv4" },
  { address: "::", prefix: 0, family: "ipv6" },
];

/**
 * `10.0.0.0/8`, `2001:db8::/32`, a single address, or `all`, which is both families. Bits behind the prefix are
 * refused: `10.1.2.3/8` may mean the one address or the sixteen million.
 */
export function parseNetwork(text: string): Parsed<readonly NetworkConfiguration[]> {
  if (text === "all") return { value: EVERYBODY };
  const [, address = "", digits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIPv4(address) ? "ipv4" : isIPv6(address) && !address.includes("%") ? "ipv6" : null;
  if (family === null)
    return { problem: `"${text}" is no network; write 10.0.0.0/8, 2001:db8::/32, an address, or all` };
  const width = family === "ipv4" ? 32 : 128;
  const prefix = digits === undefined ? width : Number(digits);
  if (prefix > width) return { problem: `"${text}": the prefix of an ${family} network ends at ${width}` };
  const bits = addressBits(address);
  // A client that comes by IPv4 is compared as such, also where the listening socket is an IPv6 one.
  if (isMapped(address, bits))
    return { problem: `"${text}" is an IPv4 network written as IPv6; write it as IPv4` };
  if ((bits & ((1n << BigInt(width - prefix)) - 1n)) !== 0n)
    return {
      problem: `"${text}" has bits behind its prefix; write ${address}/${width} for the one address, or clear them`,
    };
  return { value: [{ address, prefix, family }] };
}

/** The networks of a list whose texts the format has accepted; those that it refused are left out. */
export function networksOf(texts: readonly unknown[]): NetworkConfiguration[] {
  return texts.flatMap((text) => {
    const result = typeof text === "string" ? parseNetwork(text) : undefined;
    return result !== undefined && "value" in result ? result.value : [];
  });
}

/** Whether an IPv6 address stands for an IPv4 one, its last 32 bits (RFC 4291 section 2.5.5.2). */
export function isMapped(address: string, bits: bigint): boolean {
  return address.includes(":") && bits >> 32n === 0xffffn;
}

/** The 32 bits of an IPv4 address, or the 128 of an IPv6 address; the text MUST be one of the two. */
export function addressBits(address: string): bigint {
  if (isIPv4(address)) return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  // The last 32 bits may be written as IPv4 (RFC 4291 section 2.2).
  const [, front = "", tail] = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? [];
  if (tail !== undefined) {
    const low = addressBits(tail);
    return addressBits(`${front}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`);
  }
  const [left = "", right] = address.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const before = groups(left);
  const after = groups(right ?? "");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
