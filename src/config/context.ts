import { resolve } from "node:path";
import type { ProblemList } from "./problem.ts";
import { placeOf, type SectionValues } from "./section-values.ts";

/** What the assembly of the configuration needs beside the sections themselves. */
export interface AssemblyContext {
  readonly file: string | null;
  /** What relative paths in the file are relative to. Paths in variables are relative to the working directory. */
  readonly folder: string;
  readonly workingDirectory: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly problems: ProblemList;
}

/** What is written in a file is relative to the file, so that a folder can be moved with its configuration. */
export function absolute(path: string, writtenIn: string, context: AssemblyContext): string {
  return resolve(writtenIn.startsWith("$") ? context.workingDirectory : context.folder, path);
}

/** The path in a section's key, absolute. */
export function pathOf(section: SectionValues, key: string, context: AssemblyContext): string {
  return absolute(String(section.values[key]), placeOf(section, [key]).file, context);
}
