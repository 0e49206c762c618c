import { isIP } from "node:net";

/** Second labels below which registries of countries give out names, as in example.co.uk. */
const SECOND_LEVELS = new Set(
  "ac co com edu gob gouv gov govt go gv id ltd me mil ne net nom or org plc sch web".split(" "),
);

/**
 * The name that was bought, as a CA counts by it: the last two labels, and the last three where the end is of a country
 * and the one before is a usual second level. An IP address stands for itself.
 *
 * An approximation of the public suffix list, which is a file of 15,000 lines that changes weekly. Where it takes a
 * longer name than the list, too little is held back, and the CA's own refusal is honoured. Where it takes a shorter
 * one (a suffix of somebody's own that is in the list's private part), names of different customers count as one.
 */
export function registeredDomain(name: string): string {
  if (isIP(name) !== 0) return name;
  const labels = name.replace(/^\*\./, "").split(".");
  const [second = "", first = ""] = labels.slice(-2);
  return labels.slice(first.length === 2 && SECOND_LEVELS.has(second) ? -3 : -2).join(".");
}
