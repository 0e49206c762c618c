import type { ChallengeKind } from "../config/challenges.ts";

const ELSEWHERE =
  "check that the name's A and AAAA records point at this machine, and that no CDN, balancer or other web server in front ends TLS itself.";

/**
 * What the operator can do about an error type of RFC 8555 §6.7 where the kind of the challenge makes a difference;
 * what is not here is in `problem.ts`, whose sentences are for http-01.
 */
const FIXES: Readonly<Record<ChallengeKind, Readonly<Record<string, string>>>> = {
  "http-01": {},
  "tls-alpn-01": {
    connection: `The CA could not connect: open port 443 in the firewall for everyone, and ${ELSEWHERE}`,
    incorrectResponse: `Something else answered on port 443: ${ELSEWHERE}`,
    tls: `Something else answered on port 443: ${ELSEWHERE}`,
    unauthorized: `Something else answered on port 443: ${ELSEWHERE}`,
  },
  "dns-01": {
    connection: "The CA got no answer from the zone's name servers; check that they answer from everywhere.",
    dns: "The CA's query failed: check that the zone's name servers answer, and DNSSEC if the zone has it.",
    incorrectResponse:
      "The CA saw other TXT records: the hook must add a value and leave those that are there.",
    unauthorized:
      "The CA did not see the TXT record: check that dns.hook adds the value in the zone that the world asks, and leaves those that are there.",
  },
};

/** @param type an error type's URN. */
export function fixFor(kind: ChallengeKind, type: string): string | undefined {
  return FIXES[kind][type.slice(type.lastIndexOf(":") + 1)];
}
