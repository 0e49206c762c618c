import { trimWhitespace } from "../../http1/fields.ts";

/** 2^31 seconds stand for forever (RFC 9111 section 1.2.2). */
const FOREVER = 2 ** 31;

/** Directive, in lower case, to its arguments; the empty string where it has none. */
export type Directives = ReadonlyMap<string, readonly string[]>;

/** Token, and where it has an argument a token or a quoted string: caches SHOULD take both (RFC 9111 section 5.2). */
const DIRECTIVE = /([^\s=,;"]+)[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g;

const NONE: Directives = new Map();

/** The Cache-Control directives of a message, of all its lines. */
export function directivesOf(fields: readonly string[]): Directives {
  if (!fields.includes("cache-control")) return NONE;
  const found = new Map<string, string[]>();
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== "cache-control") continue;
    for (const [, name = "", quoted, token] of (fields[index + 1] as string).matchAll(DIRECTIVE)) {
      const key = name.toLowerCase();
      const value = trimWhitespace(quoted ?? token ?? "");
      const before = found.get(key);
      if (before === undefined) found.set(key, [value]);
      else before.push(value);
    }
  }
  return found;
}

/**
 * The seconds of a directive, undefined where it is not there. What is no number counts as 0, and of several the
 * smallest: RFC 9111 section 4.2.1 encourages to take such a response for stale.
 */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const values = directives.get(name);
  if (values === undefined) return undefined;
  return Math.min(...values.map((value) => (/^\d+$/.test(value) ? Math.min(Number(value), FOREVER) : 0)));
}
