import type { Sourced } from "../../config/configuration.ts";
import { AddressList } from "../../exchange/address-list.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";

/** 403 for the addresses in the list. */
export function denyRule({ from, value }: Sourced<readonly string[]>): Rule {
  const includes = membership(value);
  const name = ruleName("deny", from);
  return (exchange, pass) => {
    if (includes(exchange.clientAddress)) refuse(exchange, 403, `the client's address is in ${name}`);
    else pass();
  };
}

/** 403 for the addresses outside the list. */
export function allowRule({ from, value }: Sourced<readonly string[]>): Rule {
  const includes = membership(value);
  const name = ruleName("allow", from);
  return (exchange, pass) => {
    if (includes(exchange.clientAddress)) pass();
    else refuse(exchange, 403, `the client's address is not in ${name}`);
  };
}

function membership(networks: readonly string[]): (address: string) => boolean {
  const list = new AddressList(networks);
  // fe80::1%eth0: the zone is the machine's own name for the line.
  return (address) => list.has(address.includes("%") ? (address.split("%")[0] as string) : address);
}
