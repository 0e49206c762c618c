import { moment } from "../../certificates/sentences.ts";
import type { CertificateStatus } from "../../certificates/status.ts";

const DAY = 86_400_000;
/** Columns of a terminal that the table fits into. */
const WIDTH = 100;
const HEADS = ["NAME", "STATE", "ISSUER", "ENDS IN", "NEXT ATTEMPT (UTC)"] as const;
/** The widest that a column gets; a longer name is cut in its middle, where names differ least. */
const WIDEST = [34, 8, 20, 9, WIDTH] as const;

/**
 * The certificates as lines of at most 100 columns: a row for each, and below it, indented, its other names, why the
 * next attempt is when it is, and what went wrong last.
 *
 * @param now milliseconds since the epoch
 */
export function certificateTable(certificates: readonly CertificateStatus[], now: number): string[] {
  if (certificates.length === 0) return ["no certificates: no site is configured"];
  const rows = certificates.map((certificate) => [
    certificate.name,
    certificate.state,
    certificate.issuer.replace(/^https?:\/\//, ""),
    endsIn(certificate, now),
    certificate.nextAttempt === null ? "" : moment(certificate.nextAttempt).replace("T", " ").slice(0, 16),
  ]);
  const widths = HEADS.map((head, column) =>
    Math.max(
      head.length,
      ...rows.map((row) => Math.min((row[column] ?? "").length, WIDEST[column] ?? WIDTH)),
    ),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cut(cell, widths[column] ?? WIDTH).padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [
    line(HEADS),
    ...certificates.flatMap((certificate, index) => [line(rows[index] ?? []), ...remarks(certificate)]),
  ];
}

/** Wraps a text at its spaces; a longer word is left whole. */
export function wrapped(text: string, indent: string, width = WIDTH): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}

function remarks(certificate: CertificateStatus): string[] {
  const { names, serving, nextReason, lastError, state, waitingFor, warnings, rehearsal } = certificate;
  const lines: string[] = [];
  const say = (text: string): void => void lines.push(...wrapped(text, "    "));
  if (names.length > 1) say(`also ${names.slice(1).join(", ")}`);
  if (serving === "temporary") say("served meanwhile: a temporary certificate, which browsers do not trust");
  for (const warning of warnings) say(`seen from here: ${warning}`);
  if (nextReason !== null) say(`next: ${nextReason}`);
  if (lastError !== null) say(`last error (${moment(lastError.at)}): ${lastError.message}`);
  else if (waitingFor !== null && state !== "failing") say(`waits for ${waitingFor}`);
  if (rehearsal !== null) {
    const { at, issuer, outcome, error } = rehearsal;
    say(`rehearsal at ${issuer} ${outcome} (${moment(at)})${error === null ? "" : `: ${error}`}`);
  }
  return lines;
}

function endsIn({ notAfter }: CertificateStatus, now: number): string {
  if (notAfter === null) return "-";
  const left = notAfter - now;
  if (left <= 0) return "ended";
  const days = Math.floor(left / DAY);
  if (days >= 2) return `${days} days`;
  return `${Math.floor(left / 3_600_000)} hours`;
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  const head = Math.ceil((width - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`;
}
