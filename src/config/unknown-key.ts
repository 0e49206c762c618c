import { show } from "./format.ts";
import { didYouMean } from "./nearest.ts";
import { ROOT } from "./schema.ts";
import { isNested, type Section } from "./section.ts";

/** The message for a key that a section does not have: the nearest key, or the sections that have it. */
export function unknownKey(key: string, section: Section): string {
  const shown = show(key);
  const hint = didYouMean(key, Object.keys(section));
  if (hint !== "") return `unknown key ${shown}${hint}`;
  const elsewhere = sectionsWith(key, ROOT, "");
  return `unknown key ${shown}${elsewhere.length === 0 ? "" : `; it belongs under ${elsewhere.join(" or ")}`}`;
}

function sectionsWith(key: string, section: Section, title: string): string[] {
  return Object.entries(section).flatMap(([name, entry]) => {
    if (!isNested(entry)) return [];
    const inner = `${title}${name}${entry.nested === "list" ? "[]" : entry.nested === "named" ? ".NAME" : ""}`;
    return [
      ...(Object.hasOwn(entry.section, key) ? [inner] : []),
      ...sectionsWith(key, entry.section, `${inner}.`),
    ];
  });
}
