import { createHash } from "node:crypto";

const LONGEST = 80;

/**
 * A name as a file name: readable, never hidden, never a path, the same on each start.
 *
 * Where something had to be replaced, a digest keeps two names apart that would look the same.
 */
export function fileNameFor(name: string): string {
  const readable = name
    .toLowerCase()
    .replace(/^https?:\/\//, "")
    .replaceAll("*", "wildcard")
    .replaceAll(/[^a-z0-9._-]+/g, "_")
    .replace(/^[._-]+/, "")
    .slice(0, LONGEST);
  return readable === name && name !== "" ? readable : `${readable}-${digest(name)}`;
}

/** The file of a set of names, in whatever order: the shortest one for people, a digest of all for us. */
export function fileNameForSet(names: readonly string[]): string {
  const [shortest] = names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return `${fileNameFor(shortest ?? "none")}-${digest(setKey(names))}`;
}

/** The same for the same names in any order. */
export function setKey(names: readonly string[]): string {
  return [...new Set(names)].sort().join(" ");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 10);
}
