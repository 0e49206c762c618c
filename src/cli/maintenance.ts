import { parseAddressRange } from "../config/address-range.ts";
import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { askDaemon } from "./control-client.ts";
import { readArguments, UsageError } from "./usage.ts";

const usage = "maintenance on|off SITE [--message TEXT] [--allow CIDR]... [--config FILE]";

/** Characters: a page has room for a sentence or two. */
const LONGEST_MESSAGE = 500;

export const maintenanceCommand: Command = {
  usage,
  summary: "close a site with a page that says so, until off; clients from --allow get through",
  async run(args) {
    const options = {
      ...CONFIG_OPTION,
      message: { type: "string" },
      allow: { type: "string", multiple: true },
    } as const;
    const { values, positionals } = readArguments(args, usage, options, 2);
    const [what, site] = positionals;
    if (what !== "on" && what !== "off")
      throw new UsageError(what === undefined ? "on or off?" : `"${what}" is neither on nor off`, usage);
    if (site === undefined) throw new UsageError("no site is named", usage);
    const allow = values.allow ?? [];
    if (what === "off" && (allow.length > 0 || values.message !== undefined))
      throw new UsageError("--message and --allow go with on", usage);
    for (const range of allow)
      if (parseAddressRange(range) === undefined)
        throw new UsageError(`"${range}" is no address and no CIDR such as 192.0.2.0/24`, usage);
    const message = values.message?.trim() ?? "";
    if (message.length > LONGEST_MESSAGE)
      throw new UsageError(`the message is longer than ${LONGEST_MESSAGE} characters`, usage);
    const { socket } = commandConfiguration(values.config).admin;
    const order = { on: what === "on", site, message: message === "" ? null : message, allow };
    const done = (await askDaemon(socket, "maintenance", order)) as { site: string; before: boolean };
    const already = done.before === order.on ? " already; what was given now is in force" : "";
    const through = allow.length === 0 ? "" : `; ${allow.join(", ")} get through`;
    process.stdout.write(
      what === "on"
        ? `${done.site} is in maintenance${already}${through}\n`
        : `${done.site} is ${done.before ? "open again" : "open, and was before"}\n`,
    );
    return 0;
  },
};
