import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { systemErrorCode } from "../errors.ts";
import { assemble } from "./assemble.ts";
import type { Configuration } from "./configuration.ts";
import { readDocument, type SourceNode } from "./document.ts";
import { checkVariableNames, siteFromEnvironment, withEnvironment } from "./environment.ts";
import { ProblemList, type Place } from "./problem.ts";
import { notAMapping, readSection } from "./read-section.ts";
import { ROOT, SITE_SECTION } from "./schema.ts";

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
