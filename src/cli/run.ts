import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { runDaemon } from "./daemon.ts";
import { readArguments } from "./usage.ts";

const usage = "run [--config FILE]";

export const runDaemonCommand: Command = {
  usage,
  summary: "start the daemon in the foreground",
  async run(args) {
    const { values } = readArguments(args, usage, CONFIG_OPTION);
    return await runDaemon(() => commandConfiguration(values.config));
  },
};
