import type { DaemonStatus } from "../supervisor/status.ts";
import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { askDaemon } from "./control-client.ts";
import { certificateLines } from "./status.ts";
import { readArguments, UsageError } from "./usage.ts";

const usage = "certs list [--config FILE] [--json]";

export const certsCommand: Command = {
  usage,
  summary: "the certificates of the running daemon",
  async run(args) {
    const { values, positionals } = readArguments(
      args,
      usage,
      { ...CONFIG_OPTION, json: { type: "boolean" } },
      1,
    );
    if (positionals[0] !== "list")
      throw new UsageError(
        `certs can ${positionals[0] === undefined ? "" : "not do that; it can "}list`,
        usage,
      );
    const { socket } = commandConfiguration(values.config).admin;
    const { certificates } = (await askDaemon(socket, "status")) as DaemonStatus;
    const text =
      values.json === true
        ? JSON.stringify(certificates, null, 2)
        : certificateLines(certificates).join("\n");
    process.stdout.write(`${text}\n`);
    return 0;
  },
};
