import type { FormatName } from "./formats.ts";

export type Default = string | boolean | null | readonly string[];

/** One key: what convict needs of it, and what the documentation says about it. */
export interface Key {
  readonly doc: string;
  readonly format: FormatName;
  /** As it is written in a file. Null: no default, the key is absent. */
  readonly default: Default;
  readonly env?: string;
  /** The key must be given. */
  readonly required?: true;
  readonly sensitive?: true;
}

/** A key whose value is a section of its own: one, a list, or a mapping of names to sections. */
export interface Nested {
  readonly doc: string;
  readonly nested: "one" | "list" | "named";
  readonly section: Section;
  /** A format that the value may have in place of a mapping: `hsts: false`, `certificate: auto`. */
  readonly or?: { readonly format: FormatName; readonly default: Default };
  /** The variable holds the section as YAML, unless `or` says otherwise. */
  readonly env?: string;
}

/** Keys in the order of the documentation. */
export interface Section {
  readonly [key: string]: Key | Nested;
}

export function isNested(entry: Key | Nested): entry is Nested {
  return "nested" in entry;
}
