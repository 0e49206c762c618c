import { BlockList, isIPv6 } from "node:net";
import type { NetworkConfiguration, Sourced } from "../../config/configuration.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";

/** 403 for the addresses in the list. */
export function denyRule({ from, value }: Sourced<readonly NetworkConfiguration[]>): Rule {
  const includes = membership(value);
  const name = ruleName("deny", from);
  return (exchange, pass) => {
    if (includes(exchange.clientAddress)) refuse(exchange, 403, `the client's address is in ${name}`);
    else pass();
  };
}

/** 403 for the addresses outside the list. */
export function allowRule({ from, value }: Sourced<readonly NetworkConfiguration[]>): Rule {
  const includes = membership(value);
  const name = ruleName("allow", from);
  return (exchange, pass) => {
    if (includes(exchange.clientAddress)) pass();
    else refuse(exchange, 403, `the client's address is not in ${name}`);
  };
}

/** Addresses come as the worker has them: IPv4 as itself, also where it came in on an IPv6 socket. */
function membership(networks: readonly NetworkConfiguration[]): (address: string) => boolean {
  const list = new BlockList();
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family);
  return (address) => {
    // fe80::1%eth0: the zone is the machine's own name for the line.
    const [bare = ""] = address.split("%");
    return list.check(bare, isIPv6(bare) ? "ipv6" : "ipv4");
  };
}
