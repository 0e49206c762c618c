import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { askDaemon } from "./control-client.ts";
import { readArguments, UsageError } from "./usage.ts";

const usage = "purge SITE [PATH] [--config FILE]";

export const purgeCommand: Command = {
  usage,
  summary:
    "forget what a site has cached; PATH may have a query, and may end in * for all that begins with it",
  async run(args) {
    const { values, positionals } = readArguments(args, usage, CONFIG_OPTION, 2);
    const [site, pattern] = positionals;
    if (site === undefined) throw new UsageError("purge needs the name of a site", usage);
    if (pattern !== undefined && !pattern.startsWith("/"))
      throw new UsageError(`the path ${JSON.stringify(pattern)} does not begin with a slash`, usage);
    const { socket } = commandConfiguration(values.config).admin;
    const parameters = pattern === undefined ? { site } : { site, pattern };
    const answer = (await askDaemon(socket, "purge", parameters)) as { site: string };
    process.stdout.write(`purged ${answer.site}${pattern === undefined ? "" : ` ${pattern}`}\n`);
    return 0;
  },
};
