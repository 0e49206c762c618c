import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import convict from "convict";
import { systemErrorCode } from "../errors.ts";
import { assemble } from "./assemble.ts";
import type { Configuration } from "./configuration.ts";
import { readDocument, type SourceNode } from "./document.ts";
import { checkVariableNames, siteFromEnvironment, withEnvironment } from "./environment.ts";
import { FormatError, show, type Format } from "./format.ts";
import { FORMATS } from "./formats.ts";
import { nearest } from "./nearest.ts";
import { ProblemList, type Place } from "./problem.ts";
import { ROOT, SITE_SECTION } from "./schema.ts";
import { isNested, type Key, type Nested, type Section } from "./section.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { unknownKey } from "./unknown-key.ts";

export interface LoadOptions {
  /** Path of the file, relative to `workingDirectory`; undefined looks at the default places. */
  readonly file?: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Absolute. */
  readonly workingDirectory: string;
}

/** The first of `$PADDOCK_CONFIG`, `./paddock.yaml`, `/etc/paddock/paddock.yaml` that exists; absolute, or null. */
export function findConfigurationFile(options: LoadOptions): string | null {
  const { file, environment, workingDirectory } = options;
  // A path that somebody named is used even where nothing is there: the error then names it.
  const named = file ?? (environment["PADDOCK_CONFIG"] || undefined);
  if (named !== undefined) return resolve(workingDirectory, named);
  const places = [resolve(workingDirectory, "paddock.yaml"), "/etc/paddock/paddock.yaml"];
  return places.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true) ?? null;
}

/**
 * Reads and checks the whole configuration: file, then environment over it, then defaults under it.
 *
 * @returns deeply frozen; durations in milliseconds, sizes in bytes, paths absolute.
 * @throws {ConfigurationError} with every problem that was found. Nothing else is thrown.
 */
export function loadConfiguration(options: LoadOptions): Configuration {
  const problems = new ProblemList();
  const { environment, workingDirectory } = options;
  const file = findConfigurationFile(options);
  const node = file === null ? undefined : readFile(file, problems);
  checkVariableNames(environment, problems);

  const start: Place = { file: file ?? "environment", line: 1, column: 1 };
  // A syntax error leaves the rest unknown; guessing at it would bury the one message that counts.
  if (node?.kind !== "mapping" && file !== null) {
    if (node !== undefined) problems.add(node.place, notAMapping("the configuration", node));
    problems.throwIfAny();
  }
  const whole = withEnvironment(ROOT, node, environment, problems) ?? {
    kind: "mapping",
    place: start,
    entries: new Map(),
  };
  const siteNode = siteFromEnvironment(environment, problems);
  const site = siteNode && readSection(SITE_SECTION, siteNode, problems, "");
  const root = readSection(ROOT, whole, problems, "");
  const configuration = assemble(root, site, {
    file,
    folder: file === null ? workingDirectory : dirname(file),
    workingDirectory,
    environment,
    problems,
  });
  problems.throwIfAny();
  return configuration;
}

function readFile(file: string, problems: ProblemList): SourceNode | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
    return readDocument(text, file, problems);
  } catch (error) {
    const code = systemErrorCode(error);
    const reasons: Record<string, string> = {
      ENOENT: "there is no such file; write one, or name it with --config",
      EACCES: "may not be read by this user; give it read permission",
      EISDIR: "is a folder; name the file in it",
      ERR_ENCODING_INVALID_ENCODED_DATA: "is not UTF-8",
    };
    problems.add(
      { file, line: 1, column: 1 },
      reasons[code ?? ""] ?? `cannot be read: ${code ?? "unknown error"}`,
    );
    return undefined;
  }
}

/** Refusals of the validation that is running: convict itself only keeps their text. */
let refusals: (FormatError & { fullName?: string })[] = [];

for (const [name, format] of Object.entries<Format>(FORMATS)) {
  convict.addFormat({
    name: `paddock:${name}`,
    ...(format.coerce === undefined ? {} : { coerce: format.coerce }),
    validate: (value: unknown) => {
      try {
        format.check(value);
      } catch (error) {
        // convict adds `fullName`, the key, to the error that it catches.
        if (error instanceof FormatError) refusals.push(error);
        throw error;
      }
    },
  });
}

/** Validates one section with convict, and those inside it. `title` is its path in messages; empty at the top. */
function readSection(
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

  const leaves: Record<string, Key> = {};
  for (const [key, entry] of Object.entries(section)) {
    if (!isNested(entry)) {
      leaves[key] = entry;
      continue;
    }
    if (entry.or !== undefined) leaves[key] = { ...entry.or, doc: entry.doc };
    const value = entries.get(key)?.node;
    if (value === undefined) {
      // A section of defaults exists whether it is written or not.
      if (isAlwaysThere(entry))
        one[key] = readSection(
          entry.section,
          { kind: "mapping", place: node.place, entries: new Map() },
          problems,
          at(key),
        );
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

  const isBare = entries.size === 0 && !Object.values(leaves).some(({ required }) => required);
  let values = isBare ? defaults.get(section) : undefined;
  values ??= validate(section, leaves, node, { ...result, values: {} }, problems, at);
  if (isBare) defaults.set(section, values);
  return { ...result, values };
}

/** Section to its values where nothing is written in it: of the sections of a site most are not. */
const defaults = new WeakMap<Section, Record<string, unknown>>();

const instances = new WeakMap<Section, convict.Config<Record<string, unknown>>>();

/** Of a section, with all keys at their defaults. To make one costs as much as a whole site otherwise does. */
function freshConvict(
  section: Section,
  keys: Readonly<Record<string, Key>>,
): convict.Config<Record<string, unknown>> {
  const known = instances.get(section);
  if (known !== undefined) {
    for (const name of Object.keys(keys)) known.reset(name);
    return known;
  }
  const schema = Object.fromEntries(
    Object.entries(keys).map(([name, key]) => [
      name,
      { ...key, format: `paddock:${key.format}`, nullable: key.default === null },
    ]),
  );
  // No variables and no arguments here: environment.ts reads the former, the command line has its own reader.
  const made = convict<Record<string, unknown>>(schema, { env: {}, args: [] });
  instances.set(section, made);
  return made;
}

/** Hands the keys of one section to convict: defaults, coercion of text, formats, strictness. */
function validate(
  definition: Section,
  keys: Readonly<Record<string, Key>>,
  whole: SourceNode,
  section: SectionValues,
  problems: ProblemList,
  at: (key: string) => string,
): Record<string, unknown> {
  const config = freshConvict(definition, keys);
  for (const [name, key] of Object.entries(keys)) {
    const node = section.entries.get(name)?.node;
    if (node === undefined) {
      if (key.required && whole.kind === "mapping" && !isMisspelt(name, section, keys))
        problems.add(section.place, `${at(name)} is missing; give it`);
      continue;
    }
    // A section in place of the word that this key may also be; readNested has read it.
    if (FORMATS[key.format].shape === "scalar" && node.kind !== "scalar" && Object.hasOwn(section.one, name))
      continue;
    const value = plainValue(node, key);
    if ("problem" in value) problems.add(node.place, `${at(name)} ${value.problem}`);
    else config.set(name, value.value);
  }
  refusals = [];
  try {
    config.validate({ allowed: "strict" });
  } catch (error) {
    if (refusals.length === 0) throw error;
    for (const { fullName = "", refusals: reasons } of refusals)
      for (const { path, onKey, message } of reasons) {
        const title = `${at(fullName)}${onKey ? "" : path.map((part) => `[${part}]`).join("")}`;
        problems.add(placeOf(section, [fullName, ...path], onKey), `${title}: ${message}`);
      }
  }
  return config.getProperties();
}

/** A node as convict and the formats take it, or what is wrong with its shape. */
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

function notAMapping(title: string, node: SourceNode): string {
  return `${title} must be a mapping of keys to values, not ${describe(node)}`;
}

function isAlwaysThere(entry: Nested): boolean {
  return (
    entry.nested === "one" && Object.values(entry.section).every((key) => isNested(key) || !key.required)
  );
}
