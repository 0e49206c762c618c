import { PaddockError } from "../errors.ts";
import type { Questions } from "./questions.ts";

/** A CA follows a few as well; Let's Encrypt's resolver stops at about so many. */
const LONGEST_CHAIN = 8;

/** One name server of a zone. */
export interface ZoneServer {
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * The name that CNAMEs lead to, `name` itself where there are none: a CA follows them (RFC 8555 section 8.4), so the
 * record belongs there.
 *
 * @throws PaddockError `dns.alias-loop`, `dns.no-answer`
 */
export async function finalName(name: string, questions: Questions): Promise<string> {
  const seen = [name];
  for (;;) {
    const target = await questions.alias(seen.at(-1) ?? name);
    if (target === null) return seen.at(-1) ?? name;
    if (seen.includes(target) || seen.length > LONGEST_CHAIN)
      throw new PaddockError(
        "dns.alias-loop",
        `the CNAMEs of ${name} lead nowhere: ${seen.join(" → ")} → ${target}`,
        {
          fix: "Let the CNAME lead to a name that may have a TXT record.",
        },
      );
    seen.push(target);
  }
}

/**
 * The name servers of the zone that `name` is in, which are found at the zone cut: the nearest name above with a SOA
 * record (RFC 2181 section 6).
 *
 * @throws PaddockError `dns.no-zone`, `dns.no-answer`
 */
export async function zoneServers(name: string, questions: Questions): Promise<readonly ZoneServer[]> {
  const labels = name.split(".");
  for (let at = 0; at < labels.length; at += 1) {
    const zone = labels.slice(at).join(".");
    // An alias is the top of no zone, and its SOA would be that of the zone that it leads to.
    if ((await questions.alias(zone)) !== null) continue;
    const primary = await questions.startOfAuthority(zone);
    if (primary === null) continue;
    const listed = await questions.nameServers(zone);
    const names = listed.length === 0 ? [primary] : listed;
    const servers = await Promise.all(
      names.map(async (server) => ({ name: server, addresses: await questions.addresses(server) })),
    );
    if (servers.some(({ addresses }) => addresses.length > 0)) return servers;
    throw noZone(name, `no name server of the zone ${zone} has an address (${names.join(", ")})`);
  }
  throw noZone(name, `no zone has ${name} in it`);
}

function noZone(name: string, what: string): PaddockError {
  return new PaddockError("dns.no-zone", what, {
    fix: `Check the delegation of ${name}, or name the servers to look at in dns.nameServers.`,
  });
}
