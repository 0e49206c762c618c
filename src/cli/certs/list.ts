import type { DaemonStatus } from "../../supervisor/status.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments } from "../usage.ts";
import { certificateTable } from "./certificate-table.ts";
import { withJournals } from "./journals.ts";

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
        ? JSON.stringify(await withJournals(socket, certificates), null, 2)
        : certificateTable(certificates, Date.now()).join("\n");
    process.stdout.write(`${text}\n`);
    return 0;
  },
};
