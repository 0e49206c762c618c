import type { DaemonStatus } from "../../supervisor/status.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { certificateLines } from "../status.ts";
import { readArguments } from "../usage.ts";

const usage = "certs list [--config FILE] [--json]";

export const listCertificates: Command = {
  usage,
  summary: "the certificates of the running daemon",
  async run(args) {
    const { values } = readArguments(args, usage, { ...CONFIG_OPTION, json: { type: "boolean" } });
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
