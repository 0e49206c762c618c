import { PaddockError } from "../errors.ts";

/** Where a value was written: a file, or an environment variable as `$NAME`. Line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with the configuration, and where. */
export interface ConfigurationProblem extends Place {
  readonly message: string;
}

/** `file:line:column: message`, the form that editors and compilers share. */
export function formatProblem(problem: ConfigurationProblem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}

/** The configuration cannot be used. Holds every problem at once, in the order in which they are written. */
export class ConfigurationError extends PaddockError {
  readonly problems: readonly ConfigurationProblem[];

  constructor(problems: readonly ConfigurationProblem[]) {
    super("configuration-invalid", problems.map(formatProblem).join("\n"), {
      fix: "Correct the places named and run `paddock check` again.",
    });
    this.problems = problems;
  }
}

/** Collects problems while the configuration is read, so that one run of `check` shows them all. */
export class ProblemList {
  readonly #problems: ConfigurationProblem[] = [];
  readonly #texts = new Set<string>();

  add(place: Place, message: string): void {
    const { file, line, column } = place;
    const problem = { file, line, column, message };
    // One mistake behind an alias is met at every use of it; the reader needs it once.
    const text = formatProblem(problem);
    if (this.#texts.has(text)) return;
    this.#texts.add(text);
    this.#problems.push(problem);
  }

  get isEmpty(): boolean {
    return this.#problems.length === 0;
  }

  /** Throws a ConfigurationError where there is any problem. */
  throwIfAny(): void {
    if (this.isEmpty) return;
    const sorted = [...this.#problems].sort(
      (a, b) => compareText(a.file, b.file) || a.line - b.line || a.column - b.column,
    );
    throw new ConfigurationError(sorted);
  }
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
