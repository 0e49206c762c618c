import type { Exchange } from "../../exchange/exchange.ts";
import type { Rule } from "./rule.ts";

/** The client's own fields of these names go no further. */
export function dropFieldsRule(names: readonly string[]): Rule {
  return (exchange, pass) => {
    if (exchange.fields.some((text, index) => index % 2 === 0 && names.includes(text)))
      changeAppFields(exchange, names, []);
    pass();
  };
}

/**
 * Changes what the app gets: without the fields called `dropped`, with `added`. The Exchange's own fields stay what
 * the client sent: compression, for one, must know that there was an Authorization.
 *
 * Connection is obeyed here and taken out, so that a client cannot name a field in it that is added afterwards.
 */
export function changeAppFields(
  exchange: Exchange,
  dropped: readonly string[],
  added: readonly string[],
): void {
  const before = exchange.appFields ?? exchange.fields;
  const gone = new Set([...dropped, "connection"]);
  for (let index = 0; index < before.length; index += 2) {
    if (before[index] !== "connection") continue;
    for (const name of (before[index + 1] as string).split(",")) gone.add(name.trim().toLowerCase());
  }
  const kept: string[] = [];
  for (let index = 0; index < before.length; index += 2) {
    const name = before[index] as string;
    if (!gone.has(name)) kept.push(name, before[index + 1] as string);
  }
  exchange.appFields = [...kept, ...added];
}
