import { ConfigurationError, formatProblem } from "../config/problem.ts";
import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { readArguments } from "./usage.ts";

const usage = "check [--config FILE]";

export const checkCommand: Command = {
  usage,
  summary: "validate the configuration; each problem as file:line:column: message",
  async run(args) {
    const { values } = readArguments(args, usage, CONFIG_OPTION);
    try {
      const { sites, file } = commandConfiguration(values.config);
      const names = sites.flatMap((site) => site.names);
      process.stdout.write(
        `${file ?? "environment"}: good; ${names.length === 1 ? "one name" : `${names.length} names`}: ${names.join(", ")}\n`,
      );
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      for (const problem of error.problems) process.stderr.write(`${formatProblem(problem)}\n`);
      return 1;
    }
  },
};
