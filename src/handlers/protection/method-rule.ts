import type { Sourced } from "../../config/configuration.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";

/** 405 with Allow (RFC 9110 section 15.5.6) for the methods outside the list. */
export function methodRule({ from, value }: Sourced<readonly string[]>): Rule {
  const allowed = new Set(value);
  const fields = ["allow", value.join(", ")];
  const name = ruleName("methods", from);
  return (exchange, pass) => {
    if (allowed.has(exchange.method)) pass();
    else refuse(exchange, 405, `${exchange.method} is not among the ${name}`, fields);
  };
}
