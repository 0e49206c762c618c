import { isIP } from "node:net";

/** RFC 8555 section 8, RFC 8737. */
export type ChallengeKind = "http-01" | "tls-alpn-01" | "dns-01";

export const CHALLENGE_KINDS: readonly ChallengeKind[] = ["http-01", "tls-alpn-01", "dns-01"];

/**
 * Those of `kinds` that can prove `name`, in their order. A wildcard is proven by dns-01 alone (CA/B baseline
 * requirements 3.2.2.4.19 and .20), an IP address by anything but dns-01 (RFC 8738 section 7).
 */
export function kindsThatProve(name: string, kinds: readonly ChallengeKind[]): ChallengeKind[] {
  if (name.startsWith("*.")) return kinds.filter((kind) => kind === "dns-01");
  return isIP(name) === 0 ? [...kinds] : kinds.filter((kind) => kind !== "dns-01");
}
