import type { Delivery } from "../../certificates/notice.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments } from "../usage.ts";

const usage = "certs notify-test [--config FILE]";

/** Milliseconds: three tries at a webhook of 10 seconds each with the waits between them. */
const PATIENCE = 120_000;

export const testNotification: Command = {
  usage,
  summary: "has the running daemon send a test by each way of `notify`; exit 1 if one of them fails",
  async run(args) {
    const { values } = readArguments(args, usage, CONFIG_OPTION);
    const { socket } = commandConfiguration(values.config).admin;
    const answer = (await askDaemon(socket, "certs-notify-test", undefined, PATIENCE)) as {
      deliveries: readonly Delivery[];
    };
    const failed = answer.deliveries.filter(({ error }) => error !== null);
    for (const { channel, error } of answer.deliveries) {
      if (error === null) process.stdout.write(`${channel}: sent\n`);
      else process.stderr.write(`paddock: ${channel}: ${error}\n`);
    }
    return failed.length === 0 ? 0 : 1;
  },
};
