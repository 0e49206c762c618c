import type { NoticeReason } from "../../certificates/journal-event.ts";
import type { Episode } from "../../certificates/episode.ts";
import type { Notice } from "../../certificates/notice.ts";
import { moment } from "../../certificates/sentences.ts";
import type { CertificateStatus } from "../../certificates/status.ts";

const DAY = 86_400_000;

/** A message lists so many certificates; the others are counted. */
const MOST_LISTED = 50;

/** What the webhook gets as JSON, and the mail as text. Times are ISO 8601. */
export interface Message {
  readonly version: 1;
  /** The gravest of the certificates'; `test` for a message that is only a test. */
  readonly event: NoticeReason | "test";
  /** Of the machine. */
  readonly host: string;
  readonly at: string;
  /** One line. */
  readonly subject: string;
  /** All of it, for people. */
  readonly text: string;
  readonly certificates: readonly CertificateNews[];
  /** Certificates that are in the same trouble and are not listed. */
  readonly more: number;
}

export interface CertificateNews {
  readonly event: NoticeReason;
  readonly name: string;
  readonly names: readonly string[];
  readonly issuer: string | null;
  /** What went wrong and what to do about it; null where nothing did. */
  readonly error: string | null;
  /** Failures in a row. */
  readonly failures: number;
  readonly failingSince: string | null;
  /** Of the stored certificate. */
  readonly notAfter: string | null;
  readonly nextAttempt: string | null;
  /** Null where the certificate is no longer wanted. */
  readonly serving: "stored" | "temporary" | null;
}

const GRAVITY: readonly NoticeReason[] = [
  "ending",
  "failing-repeatedly",
  "failing",
  "rehearsal-failed",
  "recovered",
  "rehearsal-recovered",
];

/** @param statusOf null where the certificate is no longer wanted. */
export function messageOf(
  notices: readonly Notice[],
  context: { host: string; now: number; statusOf: (name: string) => CertificateStatus | null },
): Message {
  const { host, now } = context;
  const sorted = notices.toSorted((a, b) => GRAVITY.indexOf(a.reason) - GRAVITY.indexOf(b.reason));
  const listed = sorted.slice(0, MOST_LISTED);
  const certificates = listed.map((notice) => newsOf(notice, context.statusOf(notice.names[0] ?? "")));
  const more = sorted.length - listed.length;
  const [first] = certificates;
  const event = first?.event ?? "recovered";
  const about =
    first === undefined || sorted.length === 1 ? null : `${sorted.length} certificates need a look`;
  const subject = `Paddock on ${host}: ${about ?? (first === undefined ? "" : headline(first, now))}`;
  const parts = certificates.map((news) => paragraph(news, now));
  if (more > 0) parts.push(`${more} more; \`paddock certs list\` shows all of them.`);
  const text = [subject, ...parts].join("\n\n");
  return { version: 1, event, host, at: moment(now), subject, text, certificates, more };
}

export function testMessage(host: string, now: number): Message {
  const subject = `Paddock on ${host}: a test`;
  const text = `${subject}\n\nSomebody ran \`paddock certs notify-test\`. Nothing is wrong: this is what a message about a certificate in trouble would come as.`;
  return { version: 1, event: "test", host, at: moment(now), subject, text, certificates: [], more: 0 };
}

function newsOf({ reason, names, episode }: Notice, status: CertificateStatus | null): CertificateNews {
  const time = (milliseconds: number | null | undefined): string | null =>
    typeof milliseconds === "number" ? moment(milliseconds) : null;
  return {
    event: reason,
    name: names[0] ?? "",
    names,
    issuer: status?.issuer ?? null,
    error: errorOf(reason, episode, status),
    failures: episode.failures,
    failingSince: time(episode.since),
    notAfter: time(status?.notAfter ?? episode.ending?.notAfter),
    nextAttempt: time(status?.nextAttempt),
    serving: status?.serving ?? null,
  };
}

function errorOf(reason: NoticeReason, episode: Episode, status: CertificateStatus | null): string | null {
  if (reason === "recovered" || reason === "rehearsal-recovered") return null;
  if (reason === "rehearsal-failed") return episode.rehearsal?.error ?? null;
  return episode.error ?? status?.lastError?.message ?? null;
}

function headline({ event, name, failures, notAfter }: CertificateNews, now: number): string {
  switch (event) {
    case "failing":
      return `no new certificate for ${name}, it is tried again`;
    case "failing-repeatedly":
      return `no new certificate for ${name} after ${failures} attempts in a row`;
    case "ending":
      return `the certificate for ${name} ${remaining(notAfter, now)}`;
    case "recovered":
      return `the certificate for ${name} is well again`;
    case "rehearsal-failed":
      return `the next order for ${name} would fail: a rehearsal of it did`;
    case "rehearsal-recovered":
      return `the rehearsal of an order for ${name} passes again`;
  }
}

function paragraph(news: CertificateNews, now: number): string {
  const { event, name, names, issuer, error, failures, failingSince, notAfter, nextAttempt, serving } = news;
  const others = names.length > 1 ? ` (also ${names.slice(1).join(", ")})` : "";
  const lines = [`${headline(news, now)}${others}`];
  if (error !== null) lines.push(`  What is wrong: ${error}`);
  else if (event === "ending")
    lines.push(
      issuer === "files"
        ? "  What to do: replace the files of the certificate and run `paddock reload`."
        : "  What is wrong: it was not renewed in time.",
    );
  if (failures > 0) lines.push(`  Attempts that failed: ${failures}, the first at ${failingSince}.`);
  if (serving === "temporary")
    lines.push("  Served meanwhile: a temporary certificate, which browsers do not trust.");
  else if (notAfter !== null)
    lines.push(`  Served: a certificate that ${remaining(notAfter, now)} (${notAfter}).`);
  if (nextAttempt !== null) lines.push(`  Next attempt: ${nextAttempt}.`);
  if (error !== null || event === "ending") lines.push(`  What happened: paddock certs show ${name}`);
  return lines.join("\n");
}

function remaining(notAfter: string | null, now: number): string {
  const left = notAfter === null ? 0 : Date.parse(notAfter) - now;
  if (left <= 0) return "has ended";
  const days = Math.floor(left / DAY);
  return days >= 2 ? `ends in ${days} days` : `ends in ${Math.max(1, Math.floor(left / 3_600_000))} hours`;
}
