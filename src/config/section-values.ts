import type { SourceNode } from "./document.ts";
import type { Place } from "./problem.ts";

/** A section after validation: its values, the sections inside it, and where each of them was written. */
export interface SectionValues {
  /** Key to value, defaults filled in; absent keys without a default are null. Lists hold texts. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Sections that hold at most one: absent where the file has none and the section may be left out. */
  readonly one: Readonly<Record<string, SectionValues>>;
  readonly list: Readonly<Record<string, readonly SectionValues[]>>;
  readonly named: Readonly<Record<string, ReadonlyMap<string, SectionValues>>>;
  /** Where the section begins. */
  readonly place: Place;
  readonly entries: ReadonlyMap<string, { readonly keyPlace: Place; readonly node: SourceNode }>;
}

/**
 * The place of a part of a section: the longest beginning of `path` that was written. With `onKey` the place of
 * the last key itself.
 */
export function placeOf(section: SectionValues, path: readonly string[], onKey = false): Place {
  const [first = "", ...rest] = path;
  const entry = section.entries.get(first);
  if (entry === undefined) return section.place;
  if (rest.length === 0) return onKey ? entry.keyPlace : entry.node.place;
  return placeInside(entry.node, rest, onKey);
}

function placeInside(node: SourceNode, path: readonly string[], onKey: boolean): Place {
  const [first = "", ...rest] = path;
  if (node.kind === "list") {
    const item = node.items[Number(first)];
    if (item === undefined) return node.place;
    return rest.length === 0 ? item.place : placeInside(item, rest, onKey);
  }
  if (node.kind === "mapping") {
    const entry = node.entries.get(first);
    if (entry === undefined) return node.place;
    if (rest.length === 0) return onKey ? entry.keyPlace : entry.node.place;
    return placeInside(entry.node, rest, onKey);
  }
  return node.place;
}
