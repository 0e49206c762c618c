import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";

const usage = "certs renew NAME [--config FILE]";

/** Milliseconds: authorizations and the order may each take five minutes before the daemon gives them up. */
export const ORDER_PATIENCE = 15 * 60_000;

export const renewCertificate: Command = {
  usage,
  summary:
    "orders the certificate of NAME now, whatever its schedule says, and straight at the CA also where its rehearsals fail",
  async run(args) {
    const { values, positionals } = readArguments(args, usage, CONFIG_OPTION, 1);
    const [name] = positionals;
    if (name === undefined) throw new UsageError("no name is given", usage);
    const { socket } = commandConfiguration(values.config).admin;
    await askDaemon(socket, "certs-renew", { name }, ORDER_PATIENCE);
    process.stdout.write(`${name} has a new certificate, and it is served\n`);
    return 0;
  },
};
