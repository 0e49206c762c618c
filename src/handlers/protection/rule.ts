import type { Exchange } from "../../exchange/exchange.ts";
import { respondWithError } from "../error-page.ts";

/** Looks at a request: calls `pass` at once, or later, or answers in its own way and never calls it. */
export type Rule = (exchange: Exchange, pass: () => void) => void;

/** The rules in order, then `pass`. */
export function runRules(rules: readonly Rule[], exchange: Exchange, pass: () => void): void {
  const next = (index: number): void => {
    const rule = rules[index];
    if (rule === undefined) pass();
    else rule(exchange, () => next(index + 1));
  };
  next(0);
}

/** Answers in the app's place. `reason`, which names the rule, is for the log line alone. */
export function refuse(
  exchange: Exchange,
  status: number,
  reason: string,
  fields: readonly string[] = [],
): void {
  exchange.handler = "protection";
  exchange.failure = reason;
  respondWithError(exchange, status, fields);
}

/** A rule's name in log lines: the key, and the prefix that it is written for where that is not the whole site. */
export function ruleName(key: string, from: string): string {
  return from === "/" ? key : `${key} of ${from}`;
}
