import { importCertbot, type ImportReport } from "../../certbot-import/certbot-import.ts";
import { messageOf, PaddockError, systemErrorCode } from "../../errors.ts";
import { createLogger } from "../../logging/logger.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";

const usage = "certs import FOLDER [--config FILE] [--json]";

export const importCertificates: Command = {
  usage,
  summary: "takes over certbot's certificates, keys and account from FOLDER, mostly /etc/letsencrypt",
  async run(args) {
    const { values, positionals } = readArguments(
      args,
      usage,
      { ...CONFIG_OPTION, json: { type: "boolean" } },
      1,
    );
    const [folder] = positionals;
    if (folder === undefined)
      throw new UsageError("no folder is given; certbot's is /etc/letsencrypt", usage);
    const configuration = commandConfiguration(values.config);
    const report = await importFrom(folder, configuration);
    const running = await tellDaemon(configuration.admin.socket);
    const text =
      values.json === true
        ? JSON.stringify({ ...report, running }, null, 2)
        : lines(report, running).join("\n");
    process.stdout.write(`${text}\n`);
    return report.lineages.some(({ outcome }) => outcome === "skipped") ? 1 : 0;
  },
};

async function importFrom(
  folder: string,
  configuration: ReturnType<typeof commandConfiguration>,
): Promise<ImportReport> {
  try {
    return await importCertbot(folder, configuration, createLogger({ ...configuration.log, level: "warn" }));
  } catch (cause) {
    if (cause instanceof PaddockError) throw cause;
    const denied = systemErrorCode(cause) === "EACCES";
    throw new PaddockError("ERR_CERTBOT_FOLDER", `cannot read ${folder}: ${messageOf(cause)}`, {
      fix: denied
        ? "run it as root, as certbot's keys are root's"
        : "name the folder that has certbot's renewal folder in it",
      cause,
    });
  }
}

/** The daemon takes what is new in the storage at a reload; false where none runs. */
async function tellDaemon(socket: string): Promise<boolean> {
  try {
    await askDaemon(socket, "reload");
    return true;
  } catch (error) {
    if (error instanceof PaddockError && error.code === "ERR_UNREACHABLE") return false;
    throw error;
  }
}

function lines({ lineages, accounts }: ImportReport, running: boolean): string[] {
  const text: string[] = [];
  for (const { lineage, outcome, names, notAfter, served, remarks } of lineages) {
    const until = notAfter === null ? "" : `, until ${new Date(notAfter).toISOString().slice(0, 10)}`;
    const is = served ? "; served as it is, and renewed when its time comes" : "";
    text.push(`${lineage}: ${outcome}${names.length === 0 ? "" : ` (${names.join(", ")}${until})`}${is}`);
    for (const remark of remarks) text.push(`  ${remark}`);
  }
  if (lineages.length === 0) text.push("there is no lineage in that folder");
  for (const { server, outcome, remark } of accounts)
    text.push(`account at ${server}: ${outcome}; ${remark}`);
  text.push(running ? "the running daemon has them" : "no daemon runs; it finds them when it starts");
  if (lineages.some(({ served }) => served))
    text.push("when all is well, end certbot's own renewals: systemctl disable --now certbot.timer");
  return text;
}
