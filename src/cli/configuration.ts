import type { Configuration } from "../config/configuration.ts";
import { loadConfiguration } from "../config/load.ts";

/** The configuration that a command's `--config`, the environment and the default places give. */
export function commandConfiguration(file: string | undefined): Configuration {
  return loadConfiguration({
    ...(file === undefined ? {} : { file }),
    environment: process.env,
    workingDirectory: process.cwd(),
  });
}

export const CONFIG_OPTION = { config: { type: "string" } } as const;
