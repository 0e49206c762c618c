import type { SourceNode } from "./document.ts";
import { show, type Format } from "./format.ts";
import { FORMATS } from "./formats.ts";
import { nearest } from "./nearest.ts";
import type { Place, ProblemList } from "./problem.ts";
import { isNested, type Key, type Nested, type Section } from "./section.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { unknownKey } from "./unknown-key.ts";
import { ValidatedKey } from "./validated-key.ts";

/** What is the same for every section of a kind. A file may have ten thousand sites, so it is made once. */
interface Kind {
  readonly keys: readonly { readonly name: string; readonly key: Key; readonly validated: ValidatedKey }[];
  /** Names to nothing, to be asked whether a key is one of them. */
  readonly known: Readonly<Record<string, Key>>;
  readonly nested: readonly (readonly [name: string, Nested])[];
  readonly defaults: Readonly<Record<string, unknown>>;
}

const kinds = new WeakMap<Section, Kind>();

function kindOf(section: Section): Kind {
  const made = kinds.get(section);
  if (made !== undefined) return made;
  const known: Record<string, Key> = {};
  const nested: [string, Nested][] = [];
  for (const [name, entry] of Object.entries(section)) {
    if (!isNested(entry)) known[name] = entry;
    else {
      nested.push([name, entry]);
      if (entry.or !== undefined) known[name] = { ...entry.or, doc: entry.doc };
    }
  }
  const keys = Object.entries(known).map(([name, key]) => ({
    name,
    key,
    validated: new ValidatedKey(name, key),
  }));
  const defaults = Object.fromEntries(keys.map(({ name, validated }) => [name, validated.default]));
  const kind = { keys, known, nested, defaults };
  kinds.set(section, kind);
  return kind;
}

/** Validates one section, and those inside it. `title` is its path in messages; empty at the top. */
export function readSection(
  section: Section,
  node: SourceNode,
  problems: ProblemList,
  title: string,
): SectionValues {
  const one: Record<string, SectionValues> = {};
  const list: Record<string, SectionValues[]> = {};
  const named: Record<string, Map<string, SectionValues>> = {};
  const entries = node.kind === "mapping" ? node.entries : new Map<string, never>();
  const result = { one, list, named, place: node.place, entries };
  const at = (key: string): string => (title === "" ? key : `${title}.${key}`);
  if (node.kind !== "mapping") problems.add(node.place, notAMapping(title, node));

  for (const [key, { keyPlace }] of entries)
    if (!Object.hasOwn(section, key)) problems.add(keyPlace, unknownKey(key, section));

  const kind = kindOf(section);
  for (const [key, entry] of kind.nested) {
    const value = entries.get(key)?.node;
    if (value === undefined) {
      // A section of defaults exists whether it is written or not.
      if (isAlwaysThere(entry)) one[key] = absentSection(entry.section, node.place);
    } else readNested(entry, key, value, at(key));
  }

  function readNested(entry: Nested, key: string, value: SourceNode, name: string): void {
    if (entry.or !== undefined && value.kind === "scalar") return;
    if (entry.nested === "one") one[key] = readSection(entry.section, value, problems, name);
    else if (entry.nested === "list") {
      if (value.kind !== "list") problems.add(value.place, `${name} must be a list, not ${describe(value)}`);
      else
        list[key] = value.items.map((item, i) => readSection(entry.section, item, problems, `${name}[${i}]`));
    } else if (value.kind !== "mapping")
      problems.add(value.place, `${name} must be a mapping of names, not ${describe(value)}`);
    else
      named[key] = new Map(
        [...value.entries].map(([n, e]) => [n, readSection(entry.section, e.node, problems, `${name}.${n}`)]),
      );
  }

  return { ...result, values: validate(kind, node, { ...result, values: {} }, problems, at) };
}

/** A section in which nothing is written and nothing has to be, nor in those inside it. */
function absentSection(section: Section, place: Place): SectionValues {
  const { nested, defaults } = kindOf(section);
  const inside = nested.filter(([, entry]) => isAlwaysThere(entry));
  const one = Object.fromEntries(inside.map(([key, entry]) => [key, absentSection(entry.section, place)]));
  return { one, list: {}, named: {}, place, entries: NOTHING_WRITTEN, values: defaults };
}

const NOTHING_WRITTEN: SectionValues["entries"] = new Map();

/** The keys of one section: what is written of them, checked, over the defaults. */
function validate(
  { keys, known, defaults }: Kind,
  whole: SourceNode,
  section: SectionValues,
  problems: ProblemList,
  at: (key: string) => string,
): Record<string, unknown> {
  const values = { ...defaults };
  for (const { name, key, validated } of keys) {
    const node = section.entries.get(name)?.node;
    if (node === undefined) {
      if (key.required && whole.kind === "mapping" && !isMisspelt(name, section, known))
        problems.add(section.place, `${at(name)} is missing; give it`);
      continue;
    }
    // A section in place of the word that this key may also be; readNested has read it.
    if (FORMATS[key.format].shape === "scalar" && node.kind !== "scalar" && Object.hasOwn(section.one, name))
      continue;
    const written = plainValue(node, key);
    if ("problem" in written) {
      problems.add(node.place, `${at(name)} ${written.problem}`);
      continue;
    }
    const { value, refusals } = validated.read(written.value);
    values[name] = value;
    for (const { path, onKey, message } of refusals) {
      const title = `${at(name)}${onKey ? "" : path.map((part) => `[${part}]`).join("")}`;
      problems.add(placeOf(section, [name, ...path], onKey), `${title}: ${message}`);
    }
  }
  return values;
}

/** A node as the formats take it, or what is wrong with its shape. */
function plainValue(node: SourceNode, key: Key): { value: unknown } | { problem: string } {
  const { shape, falseIsEmpty }: Format = FORMATS[key.format];
  if (node.kind === "scalar" && node.value === null)
    return { problem: "has no value; give it one, or remove the key" };
  if (falseIsEmpty === true && node.kind === "scalar" && node.value === false) return { value: [] };
  if (node.kind !== shape) {
    if (shape === "scalar") return { problem: `must be a single value, not ${describe(node)}` };
    return { problem: `must be a ${shape}, not ${describe(node)}` };
  }
  if (node.kind === "list") return { value: node.items.map(bare) };
  // convict takes a mapping for keys of its own, and a dot in a key for a path; pairs are neither.
  if (node.kind === "mapping")
    return { value: [...node.entries].map(([name, entry]) => [name, bare(entry.node)]) };
  // `75` for a duration: a number has no unit, so it goes the way of text and is refused with a hint.
  const isMeasure = ["duration", "size", "rehearsal"].includes(key.format);
  return { value: isMeasure && typeof node.value === "number" ? String(node.value) : node.value };
}

function bare(node: SourceNode): unknown {
  if (node.kind === "scalar") return node.value;
  return node.kind === "list" ? [] : {};
}

function describe(node: SourceNode): string {
  return node.kind === "scalar" ? show(node.value) : `a ${node.kind}`;
}

/** Whether an unknown key was meant to be this one: its own message says so. */
function isMisspelt(name: string, section: SectionValues, keys: Readonly<Record<string, Key>>): boolean {
  return [...section.entries.keys()].some(
    (key) => !Object.hasOwn(keys, key) && nearest(key, Object.keys(keys)) === name,
  );
}

export function notAMapping(title: string, node: SourceNode): string {
  return `${title} must be a mapping of keys to values, not ${describe(node)}`;
}

function isAlwaysThere(entry: Nested): boolean {
  return (
    entry.nested === "one" && Object.values(entry.section).every((key) => isNested(key) || !key.required)
  );
}
