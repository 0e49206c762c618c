import { readDocument, type SourceEntry, type SourceNode } from "./document.ts";
import type { Shape } from "./format.ts";
import { FORMATS } from "./formats.ts";
import { editDistance } from "./nearest.ts";
import type { Place, ProblemList } from "./problem.ts";
import { ROOT, SHORTCUTS, SITE_SECTION } from "./schema.ts";
import { isNested, type Key, type Nested, type Section } from "./section.ts";

/**
 * Lays the variables of a section over what its file says: a variable wins over the key. An empty variable is an
 * unset one, as `FOO=${FOO:-}` in a compose file means it.
 *
 * convict could read the variables by itself, but it would take `PADDOCK_LOG_ACCESS=maybe` for true and could
 * not say which of the names in PADDOCK_NAMES is wrong. So they become nodes with places like those of a file.
 */
export function withEnvironment(
  section: Section,
  node: SourceNode | undefined,
  environment: NodeJS.ProcessEnv,
  problems: ProblemList,
): SourceNode | undefined {
  if (node !== undefined && node.kind !== "mapping") return node;
  const entries = new Map(node?.entries);
  let place = node?.place;
  for (const [key, entry] of Object.entries(section)) {
    const written = fromVariable(entry, environment, problems);
    if (written !== undefined) {
      entries.set(key, { keyPlace: written.place, node: written });
      place ??= written.place;
    } else if (isNested(entry) && entry.nested === "one" && section === ROOT) {
      const inner = withEnvironment(entry.section, entries.get(key)?.node, environment, problems);
      if (inner === undefined) continue;
      entries.set(key, { keyPlace: entries.get(key)?.keyPlace ?? inner.place, node: inner });
      place ??= inner.place;
    }
  }
  return place === undefined ? undefined : { kind: "mapping", place, entries };
}

/** The one site that the environment describes, or undefined where it describes none. */
export function siteFromEnvironment(
  environment: NodeJS.ProcessEnv,
  problems: ProblemList,
): SourceNode | undefined {
  return withEnvironment(SITE_SECTION, undefined, environment, problems);
}

/** The value of a variable and its place, or undefined where it is unset or empty. */
export function variable(
  name: string,
  environment: NodeJS.ProcessEnv,
): { readonly text: string; readonly place: Place } | undefined {
  const text = environment[name];
  if (text === undefined || text === "") return undefined;
  return { text, place: { file: `$${name}`, line: 1, column: 1 } };
}

/**
 * Adds a problem for each variable that is one letter away from one that Paddock reads. Other unknown variables
 * are left alone: Kubernetes, for one, sets PADDOCK_PORT and PADDOCK_SERVICE_HOST for a service of that name.
 */
export function checkVariableNames(environment: NodeJS.ProcessEnv, problems: ProblemList): void {
  const known = new Set([...Object.keys(SHORTCUTS), ...variablesOf(ROOT), ...variablesOf(SITE_SECTION)]);
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith("PADDOCK_") || known.has(name) || value === "") continue;
    const meant = [...known].find((candidate) => editDistance(name, candidate) === 1);
    if (meant !== undefined)
      problems.add(
        { file: `$${name}`, line: 1, column: 1 },
        `unknown variable ${name}; did you mean ${meant}?`,
      );
  }
}

function variablesOf(section: Section): string[] {
  return Object.values(section).flatMap((entry) => [
    ...(entry.env === undefined ? [] : [entry.env]),
    ...(isNested(entry) ? variablesOf(entry.section) : []),
  ]);
}

function fromVariable(
  entry: Key | Nested,
  environment: NodeJS.ProcessEnv,
  problems: ProblemList,
): SourceNode | undefined {
  const written = entry.env === undefined ? undefined : variable(entry.env, environment);
  if (written === undefined) return undefined;
  const { text, place } = written;
  if (isNested(entry)) {
    const word = entry.or !== undefined && /^\w+$/.test(text);
    return word
      ? scalarNode(text, place)
      : (readDocument(text, place.file, problems) ?? scalarNode(text, place));
  }
  const shape: Shape = FORMATS[entry.format].shape;
  if (shape === "scalar") return scalarNode(text, place);
  if (shape === "list") return listNode(text, place);
  // Values of fields hold commas and equals signs of their own, so `headers` is YAML: {X-A: b}.
  if (entry.format === "headers")
    return readDocument(text, place.file, problems) ?? { kind: "mapping", place, entries: new Map() };
  return pairsNode(text, place);
}

function scalarNode(value: string, place: Place): SourceNode {
  return { kind: "scalar", place, value };
}

/** `a,b` with spaces around allowed; `[]` is the empty list, since an empty variable counts as unset. */
function listNode(text: string, place: Place): SourceNode {
  const items =
    text.trim() === "[]" ? [] : parts(text, place).map((part) => scalarNode(part.text, part.place));
  return { kind: "list", place, items };
}

/** `/static/=/srv/static,/media/=/srv/media` */
function pairsNode(text: string, place: Place): SourceNode {
  const entries = new Map<string, SourceEntry>();
  for (const part of parts(text, place)) {
    const equals = part.text.indexOf("=");
    const key = equals < 0 ? part.text : part.text.slice(0, equals);
    const column = part.place.column + (equals < 0 ? 0 : equals + 1);
    const value = scalarNode(equals < 0 ? "" : part.text.slice(equals + 1), { ...place, column });
    entries.set(key, { keyPlace: part.place, node: value });
  }
  return { kind: "mapping", place, entries };
}

function parts(text: string, place: Place): { text: string; place: Place }[] {
  let offset = 0;
  return text.split(",").map((piece) => {
    const column = offset + (piece.length - piece.trimStart().length) + 1;
    offset += piece.length + 1;
    return { text: piece.trim(), place: { ...place, column } };
  });
}
