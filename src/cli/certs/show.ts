import type { JournalDocument } from "../../certificates/journal-document.ts";
import { journalSentence } from "../../certificates/journal-sentences.ts";
import type { CertificateStatus } from "../../certificates/status.ts";
import { moment } from "../../certificates/sentences.ts";
import type { DaemonStatus } from "../../supervisor/status.ts";
import type { Command } from "../command.ts";
import { commandConfiguration, CONFIG_OPTION } from "../configuration.ts";
import { askDaemon } from "../control-client.ts";
import { readArguments, UsageError } from "../usage.ts";
import { certificateTable, wrapped } from "./certificate-table.ts";

const usage = "certs show NAME [--config FILE] [--json]";

export const showCertificate: Command = {
  usage,
  summary: "the certificate of NAME with its journal: what happened to it, and when",
  async run(args) {
    const options = { ...CONFIG_OPTION, json: { type: "boolean" } } as const;
    const { values, positionals } = readArguments(args, usage, options, 1);
    const [name] = positionals;
    if (name === undefined) throw new UsageError("no name is given", usage);
    const { socket } = commandConfiguration(values.config).admin;
    const journal = (await askDaemon(socket, "certs-journal", { name })) as JournalDocument;
    const { certificates } = (await askDaemon(socket, "status")) as DaemonStatus;
    const certificate = certificates.find(({ names }) => names.join() === journal.names.join());
    const text =
      values.json === true
        ? JSON.stringify({ ...certificate, journal }, null, 2)
        : timeline(certificate, journal, Date.now()).join("\n");
    process.stdout.write(`${text}\n`);
    return 0;
  },
};

/** The oldest entry first, as a log reads, so that the last line of a terminal is the newest. */
function timeline(
  certificate: CertificateStatus | undefined,
  { served, entries }: JournalDocument,
  now: number,
): string[] {
  const lines = certificate === undefined ? [] : [...certificateTable([certificate], now), ""];
  if (served !== null) {
    const { at } = served;
    lines.push(...wrapped(`since ${moment(at)} ${journalSentence(served)}`, ""), "");
  }
  let day = "";
  for (const entry of entries) {
    const time = moment(entry.at);
    if (time.slice(0, 10) !== day) {
      day = time.slice(0, 10);
      lines.push(day);
    }
    const [first = "", ...rest] = wrapped(journalSentence(entry), " ".repeat(12));
    lines.push(`  ${time.slice(11, 19)}  ${first.trimStart()}`, ...rest);
  }
  if (entries.length === 0) lines.push("nothing has happened yet");
  return lines;
}
