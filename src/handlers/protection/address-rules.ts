import type { NetworkConfiguration, Sourced } from "../../config/configuration.ts";
import { AddressList } from "../../exchange/address-list.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";

/** 403 for the addresses in the list. */
export function denyRule({ from, value }: Sourced<readonly NetworkConfiguration[]>): Rule {
  const list = new AddressList(value);
  const name = ruleName("deny", from);
  return (exchange, pass) => {
    if (list.has(exchange.clientAddress)) refuse(exchange, 403, `the client's address is in ${name}`);
    else pass();
  };
}

/** 403 for the addresses outside the list. */
export function allowRule({ from, value }: Sourced<readonly NetworkConfiguration[]>): Rule {
  const list = new AddressList(value);
  const name = ruleName("allow", from);
  return (exchange, pass) => {
    if (list.has(exchange.clientAddress)) pass();
    else refuse(exchange, 403, `the client's address is not in ${name}`);
  };
}
