import { spanText } from "../certificates/clock-watch.ts";
import type { DaemonStatus } from "../supervisor/status.ts";
import { certificateTable } from "./certs/certificate-table.ts";
import { withJournals } from "./certs/journals.ts";
import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { askDaemon } from "./control-client.ts";
import { readArguments } from "./usage.ts";

const usage = "status [--config FILE] [--json]";

export const statusCommand: Command = {
  usage,
  summary: "sites, certificates, upstreams and workers of the running daemon",
  async run(args) {
    const { values } = readArguments(args, usage, { ...CONFIG_OPTION, json: { type: "boolean" } });
    const { socket } = commandConfiguration(values.config).admin;
    const status = (await askDaemon(socket, "status")) as DaemonStatus;
    if (values.json === true) {
      const certificates = await withJournals(socket, status.certificates);
      process.stdout.write(`${JSON.stringify({ ...status, certificates }, null, 2)}\n`);
      return 0;
    }
    const lines = [
      `Paddock ${status.version}, process ${status.pid}, ${status.ready ? "ready" : "not ready"}`,
    ];
    if (status.clock !== null) {
      const { issuer, ahead } = status.clock;
      const difference = `${spanText(ahead)} ${ahead > 0 ? "ahead of" : "behind"}`;
      lines.push(
        `the clock of this machine is ${difference} that of ${issuer}: set it, and check NTP (timedatectl)`,
      );
    }
    for (const { names, upstream, static: mappings, internal, maintenance } of status.sites) {
      lines.push(`site ${names.join(", ")}`, `  upstream ${upstream ?? "none"}`);
      if (maintenance !== null) {
        const but = maintenance.allow.length === 0 ? "" : `, but for ${maintenance.allow.join(", ")}`;
        lines.push(`  in maintenance since ${new Date(maintenance.since).toISOString()}${but}`);
        if (maintenance.message !== null) lines.push(`  message: ${maintenance.message}`);
      }
      for (const mapping of mappings) lines.push(`  static ${mapping}`);
      for (const mapping of internal) lines.push(`  internal ${mapping}`);
    }
    lines.push("", ...certificateTable(status.certificates, Date.now()), "");
    for (const { pid, state } of status.workers) lines.push(`worker ${pid} ${state}`);
    process.stdout.write(`${lines.join("\n")}\n`);
    return 0;
  },
};
