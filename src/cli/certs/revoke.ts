import { REVOCATION_REASONS } from "../../certificates/revocation.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";
import { ORDER_PATIENCE } from "./renew.ts";

const usage = "certs revoke NAME [--reason REASON] [--config FILE]";
const REASONS = Object.keys(REVOCATION_REASONS);

export const revokeCertificate: Command = {
  usage,
  summary: `revokes the certificate of NAME and orders another with a new key; REASON is one of ${REASONS.join(", ")}`,
  async run(args) {
    const options = { ...CONFIG_OPTION, reason: { type: "string", default: "unspecified" } } as const;
    const { values, positionals } = readArguments(args, usage, options, 1);
    const [name] = positionals;
    const { reason } = values;
    if (name === undefined) throw new UsageError("no name is given", usage);
    if (!REASONS.includes(reason))
      throw new UsageError(`"${reason}" is no reason; it is one of ${REASONS.join(", ")}`, usage);
    const { socket } = commandConfiguration(values.config).admin;
    await askDaemon(socket, "certs-revoke", { name, reason }, ORDER_PATIENCE);
    process.stdout.write(`the certificate of ${name} is revoked; a new one, with a new key, is served\n`);
    return 0;
  },
};
