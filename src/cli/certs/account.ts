import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon, type DaemonCommand } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";

const usage = "certs account rollover|deactivate ISSUER [--config FILE]";

const DEEDS: Readonly<Record<string, { command: DaemonCommand; done: (issuer: string) => string }>> = {
  rollover: {
    command: "certs-account-rollover",
    done: (issuer) => `the account at ${issuer} has a new key`,
  },
  deactivate: {
    command: "certs-account-deactivate",
    done: (issuer) =>
      `the account at ${issuer} is deactivated; the next order there makes a new one, unless you remove the issuer`,
  },
};

export const certificateAccount: Command = {
  usage,
  summary: "gives the account at ISSUER, as `issuers` names it, a new key, or ends it for good",
  async run(args) {
    const { values, positionals } = readArguments(args, usage, CONFIG_OPTION, 2);
    const [word = "", issuer] = positionals;
    const deed = Object.hasOwn(DEEDS, word) ? DEEDS[word] : undefined;
    if (deed === undefined) throw new UsageError("certs account can rollover, deactivate", usage);
    if (issuer === undefined) throw new UsageError("no issuer is given", usage);
    const { socket } = commandConfiguration(values.config).admin;
    await askDaemon(socket, deed.command, { issuer });
    process.stdout.write(`${deed.done(issuer)}\n`);
    return 0;
  },
};
