import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from "yaml";
import { messageOf } from "../errors.ts";
import type { Place, ProblemList } from "./problem.ts";

/** A value as it was written, with its place; what the rest of `config/` works on. */
export type SourceNode =
  | { readonly kind: "scalar"; readonly place: Place; readonly value: unknown }
  | { readonly kind: "list"; readonly place: Place; readonly items: readonly SourceNode[] }
  | { readonly kind: "mapping"; readonly place: Place; readonly entries: ReadonlyMap<string, SourceEntry> };

export interface SourceEntry {
  readonly keyPlace: Place;
  readonly node: SourceNode;
}

/** Ten thousand sites take a tenth of it; what lies beyond is a mistake or an attack by aliases. */
const LARGEST_DOCUMENT = 16 * 1024 * 1024;
const DEEPEST_NESTING = 32;
const MOST_NODES = 1_000_000;

/**
 * Reads YAML 1.2 (core schema) with places. Adds every syntax error to `problems`; the result is undefined where
 * there is nothing usable. An empty document is an empty mapping.
 *
 * `file` is what places are reported under: a path, or `$NAME` for the value of an environment variable.
 */
export function readDocument(text: string, file: string, problems: ProblemList): SourceNode | undefined {
  const start = { file, line: 1, column: 1 };
  if (text.length > LARGEST_DOCUMENT) {
    problems.add(start, "the configuration is larger than 16 MB");
    return undefined;
  }
  const lineCounter = new LineCounter();
  const placeAt = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };

  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      lineCounter,
      version: "1.2",
      schema: "core",
      // Keys are names here, never numbers or booleans: `8443:` and `on:` stay as written.
      stringKeys: true,
      prettyErrors: false,
    });
  } catch (error) {
    // The parser recurses; a few thousand brackets exhaust the stack.
    problems.add(start, `the YAML cannot be read: ${messageOf(error)}`);
    return undefined;
  }
  const faults = [...document.errors, ...document.warnings];
  for (const fault of faults) {
    const keyText = fault.code === "DUPLICATE_KEY" ? keyAt(text, fault.pos[0]) : undefined;
    const message =
      keyText === undefined ? `YAML: ${firstLine(fault.message)}` : `the key ${keyText} is given twice`;
    problems.add(placeAt(fault.pos[0]), message);
  }
  if (faults.length > 0) return undefined;
  if (document.contents === null) return { kind: "mapping", place: start, entries: new Map() };
  const conversion = new Conversion(document, placeAt, problems);
  const node = conversion.convert(document.contents, start, 0);
  return conversion.isBroken ? undefined : node;
}

/** Turns yaml's own nodes into SourceNodes, aliases resolved, so that no other file depends on the parser. */
class Conversion {
  readonly #document: Document.Parsed;
  readonly #placeAt: (offset: number) => Place;
  readonly #problems: ProblemList;
  #nodes = 0;
  isBroken = false;

  constructor(document: Document.Parsed, placeAt: (offset: number) => Place, problems: ProblemList) {
    this.#document = document;
    this.#placeAt = placeAt;
    this.#problems = problems;
  }

  convert(node: unknown, parent: Place, depth: number): SourceNode {
    const place = this.#placeOf(node, parent);
    if (++this.#nodes > MOST_NODES || depth > DEEPEST_NESTING) {
      return this.#broken(place, "nested too deeply, or an alias that contains itself");
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined)
        return this.#broken(place, `the alias *${node.source} has no anchor before it`);
      // Reported where the alias stands: that is where the reader looks for the mistake.
      return { ...this.convert(target, place, depth + 1), place };
    }
    if (isSeq(node)) {
      return {
        kind: "list",
        place,
        items: node.items.map((item) => this.convert(item, place, depth + 1)),
      };
    }
    if (isMap(node)) {
      const entries = new Map<string, SourceEntry>();
      for (const { key, value } of node.items) {
        const keyPlace = this.#placeOf(key, place);
        const name = isScalar(key) ? String(key.value) : String(key);
        entries.set(name, { keyPlace, node: this.convert(value, keyPlace, depth + 1) });
      }
      return { kind: "mapping", place, entries };
    }
    const value = isScalar(node) ? node.value : null;
    // `storage:` with nothing after it: the place of nothing is of no help, its key is.
    return { kind: "scalar", place: value === null ? parent : place, value };
  }

  #broken(place: Place, message: string): SourceNode {
    this.isBroken = true;
    this.#problems.add(place, message);
    return { kind: "scalar", place, value: null };
  }

  #placeOf(node: unknown, fallback: Place): Place {
    const range = (node as { range?: [number, number, number] | null } | null)?.range;
    return range ? this.#placeAt(range[0]) : fallback;
  }
}

function firstLine(message: string): string {
  return message.split("\n", 1)[0] ?? message;
}

/** The key that begins at `offset`, quoted for a message. */
function keyAt(text: string, offset: number): string {
  const [, word = ""] = /^["']?([^\s:"'{},[\]]{0,80})/.exec(text.slice(offset, offset + 90)) ?? [];
  return `"${word}"`;
}
