import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Configuration } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { ConfigurationError, type ConfigurationProblem } from "../../src/config/problem.ts";

/** A folder with a `static/`, a `ca.pem` and a program `hook` in it, for configurations that name what must exist. */
export function configurationFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "paddock-config-"));
  mkdirSync(join(folder, "static"));
  writeFileSync(join(folder, "ca.pem"), "");
  writeFileSync(join(folder, "hook"), "#!/bin/sh\n", { mode: 0o755 });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Loads a configuration from text, as `paddock.yaml` of a folder. */
export function loadText(folder: string, text: string, environment: NodeJS.ProcessEnv = {}): Configuration {
  const file = join(folder, "paddock.yaml");
  writeFileSync(file, text);
  return loadConfiguration({ file, environment, workingDirectory: folder });
}

/** The problems of a configuration, empty where it has none; anything but a ConfigurationError is thrown on. */
export function problemsOf(load: () => unknown): readonly ConfigurationProblem[] {
  try {
    load();
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}
