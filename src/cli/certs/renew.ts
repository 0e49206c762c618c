import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";

const usage = "certs renew NAME [--force] [--config FILE]";

/** Milliseconds: authorizations and the order may each take five minutes before the daemon gives them up. */
export const ORDER_PATIENCE = 15 * 60_000;

export const renewCertificate: Command = {
  usage,
  summary:
    "orders the certificate of NAME now, whatever its schedule says, and straight at the CA also where its rehearsals fail; with --force also where the CA would refuse it",
  async run(args) {
    const options = { ...CONFIG_OPTION, force: { type: "boolean" } } as const;
    const { values, positionals } = readArguments(args, usage, options, 1);
    const [name] = positionals;
    if (name === undefined) throw new UsageError("no name is given", usage);
    const { socket } = commandConfiguration(values.config).admin;
    await askDaemon(socket, "certs-renew", { name, force: values.force === true }, ORDER_PATIENCE);
    process.stdout.write(`${name} has a new certificate, and it is served\n`);
    return 0;
  },
};
