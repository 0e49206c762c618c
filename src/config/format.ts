import { didYouMean } from "./nearest.ts";

/** One thing that a format has against a value. */
export interface Refusal {
  readonly message: string;
  /** From the key to the part that is wrong: an index of a list, a key of a mapping. */
  readonly path: readonly string[];
  /** The last key of the path is wrong itself, and not its value. */
  readonly onKey: boolean;
}

/** A value that its format refuses, with every reason. */
export class FormatError extends Error {
  readonly refusals: readonly Refusal[];

  constructor(refusals: readonly Refusal[]) {
    super(refusals.map((refusal) => refusal.message).join("; "));
    this.refusals = refusals;
  }
}

/** The shape of a value before its format looks at it. A mapping arrives as a list of [key, value] pairs. */
export type Shape = "scalar" | "list" | "mapping";

export interface Format {
  /** How the documentation describes the values. */
  readonly says: string;
  /** `false` in place of an empty list. */
  readonly falseIsEmpty?: true;
  readonly shape: Shape;
  /** Turns text into a value, where it can; `check` judges what came out. */
  readonly coerce?: (text: string) => unknown;
  /** Throws FormatError. */
  readonly check: (value: unknown) => void;
}

export function fail(message: string): never {
  throw new FormatError([{ message, path: [], onKey: false }]);
}

export function unavailable(what: string, fix: string): never {
  fail(`${what} is not available in this version; ${fix}`);
}

/** A value for a message: short, and never a control character. */
export function show(value: unknown): string {
  if (value === null) return "an empty value";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

export function asText(value: unknown): string {
  if (typeof value !== "string") fail(`must be text, not ${show(value)}`);
  return value;
}

/** The refusals of a check of one part of the value, seen from the whole value. */
function refusalsAt(part: string, check: () => void, onKey = false): Refusal[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return error.refusals.map(({ message, path }) => ({ message, path: [part, ...path], onKey }));
  }
}

function throwIfAny(refusals: readonly Refusal[]): void {
  if (refusals.length > 0) throw new FormatError(refusals);
}

export function scalar(says: string, check: (text: string) => void): Format {
  return { says, shape: "scalar", check: (value) => check(asText(value)) };
}

export function oneOf(words: readonly string[]): Format {
  return {
    says: words.map((word) => `\`${word}\``).join(", "),
    shape: "scalar",
    check: (value) => {
      if (typeof value === "string" && words.includes(value)) return;
      const hint = typeof value === "string" ? didYouMean(value, words) : "";
      fail(`must be one of ${words.join(", ")}, not ${show(value)}${hint}`);
    },
  };
}

/** A key that has one value in this version; the documentation of a later one will say more. */
export function only(says: string, allowed: unknown): Format {
  return {
    says,
    shape: "scalar",
    coerce: (text) => (text === String(allowed) ? allowed : text),
    check: (value) => {
      if (value !== allowed) unavailable(show(value), "remove the key");
    },
  };
}

export function list(says: string, check: (text: string) => void): Format {
  return {
    says,
    shape: "list",
    check: (value) =>
      throwIfAny(
        (value as readonly unknown[]).flatMap((item, index) =>
          refusalsAt(String(index), () => check(asText(item))),
        ),
      ),
  };
}

export function mapping(
  says: string,
  checkKey: (key: string) => void,
  check: (key: string, value: unknown) => void,
): Format {
  return {
    says,
    shape: "mapping",
    check: (value) =>
      throwIfAny(
        (value as readonly (readonly [string, unknown])[]).flatMap(([key, item]) => {
          const onKey = refusalsAt(key, () => checkKey(key), true);
          return [...onKey, ...refusalsAt(key, () => check(key, item))];
        }),
      ),
  };
}

export function measure(
  says: string,
  kind: string,
  examples: string,
  unit: string,
  parse: (text: string) => number | undefined,
): Format {
  return {
    says,
    shape: "scalar",
    coerce: (text) => parse(text) ?? text,
    check: (value) => {
      // From a file a bare number arrives as text here (see load.ts), so a number has been through `coerce`.
      if (typeof value === "number" && Number.isInteger(value)) return;
      const bare = typeof value === "string" && /^\d+$/.test(value);
      fail(
        `${show(value)} is no ${kind}; write ${bare ? `${value}${unit}, or another unit:` : "for example"} ${examples}`,
      );
    },
  };
}
