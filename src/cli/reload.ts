import { checkCommand } from "./check.ts";
import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { askDaemon } from "./control-client.ts";
import { readArguments } from "./usage.ts";

const usage = "reload [--config FILE]";

export const reloadCommand: Command = {
  usage,
  summary: "apply the configuration to the running daemon; nothing changes if it is not valid",
  async run(args) {
    const { values } = readArguments(args, usage, CONFIG_OPTION);
    // Checked here too, so that each problem is shown where the operator sits.
    if ((await checkCommand.run(args)) !== 0) return 1;
    const answer = (await askDaemon(commandConfiguration(values.config).admin.socket, "reload")) as {
      how: string;
    };
    process.stdout.write(`applied; workers: ${answer.how}\n`);
    return 0;
  },
};
