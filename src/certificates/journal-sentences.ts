import type {
  JournalEntry,
  JournalProblem,
  NoticeReason,
  RehearsalOccasion,
  ServedPart,
} from "./journal-event.ts";
import { moment } from "./sentences.ts";

const REASONS: Readonly<Record<NoticeReason, string>> = {
  failing: "the first failure",
  "failing-repeatedly": "three failures in a row",
  ending: "less than a quarter of its life left",
  recovered: "all well again",
  "rehearsal-failed": "a rehearsal that failed",
  "rehearsal-recovered": "a rehearsal that passes again",
};

/** An entry of the journal as a sentence without its time. */
export function journalSentence(entry: JournalEntry): string {
  switch (entry.kind) {
    case "order-begun":
      return `order at ${entry.issuer} begun`;
    case "order-created":
      return `${entry.issuer} took the order: ${entry.url}`;
    case "challenge":
      return challengeSentence(entry);
    case "order-finished":
      return `${entry.issuer} gave a certificate, valid until ${moment(entry.notAfter)} (${short(entry.fingerprint)})`;
    case "order-failed":
      return `order at ${entry.issuer} failed: ${entry.error}${problemSentence(entry.problem, entry.error)}`;
    case "rehearsal":
      return rehearsalSentence(entry);
    case "held-back":
      return `no order at ${entry.issuer}: ${entry.why}`;
    case "preflight":
      return `seen before the order at ${entry.issuer}: ${entry.warning}`;
    case "attempt-failed":
      return "no issuer gave a certificate";
    case "next-attempt":
      return `next attempt at ${moment(entry.due)}: ${entry.why}`;
    case "renewal-window": {
      const why = entry.explanationUrl === null ? "" : `; why: ${entry.explanationUrl}`;
      return `${entry.issuer} wishes a renewal between ${moment(entry.start)} and ${moment(entry.end)}, it will be at ${moment(entry.due)}${why}`;
    }
    case "served":
      return `served: ${entry.certificates.map(servedSentence).join("; ") || "nothing"}`;
    case "ending":
      return `less than a quarter of its life is left: it ends at ${moment(entry.notAfter)}`;
    case "served-other":
      return `${entry.name} was served with ${entry.found === null ? "no certificate" : short(entry.found)} at ${entry.where} in place of ${short(entry.expected)}; the certificates were sent again`;
    case "served-repaired":
      return `${entry.name} is served with the stored certificate again`;
    case "notified": {
      const outcome = entry.error === null ? "told" : "not told";
      return `operator ${outcome} by ${entry.channel} of ${REASONS[entry.reason]}${entry.error === null ? "" : `: ${entry.error}`}`;
    }
  }
}

function challengeSentence(entry: Extract<JournalEntry, { kind: "challenge" }>): string {
  const { issuer, name, challenge, outcome, problem } = entry;
  if (outcome === "reused") return `${issuer} still holds a proof for ${name}, and asks for none`;
  if (outcome === "valid") return `${name} proven by ${challenge}`;
  return `${name} not proven by ${challenge}${problemSentence(problem, "")}`;
}

const OCCASIONS: Readonly<Record<RehearsalOccasion, string>> = {
  command: "asked for by the operator",
  configuration: "after a change of the configuration",
  schedule: "by schedule",
  failure: "before an order, since the last one failed",
};

function rehearsalSentence(entry: Extract<JournalEntry, { kind: "rehearsal" }>): string {
  const { issuer, occasion, outcome, error, problem } = entry;
  const begin = `rehearsal at ${issuer}, ${OCCASIONS[occasion]},`;
  if (error === null) return `${begin} passed`;
  const how = outcome === "failed" ? "failed" : "came to nothing";
  return `${begin} ${how}: ${error}${problemSentence(problem, error)}`;
}

/** What the CA said, unless `said` has it already. */
function problemSentence(problem: JournalProblem | null, said: string): string {
  if (problem === null) return "";
  const type = problem.type.replace("urn:ietf:params:acme:error:", "");
  const details = [problem, ...problem.subproblems].map(({ detail }) => detail);
  const news = details.filter((detail) => !said.includes(detail));
  if (news.length === 0) return said === "" ? "" : ` [${type}]`;
  return said === "" ? `: ${news.join("; ")} [${type}]` : ` [${type}: ${news.join("; ")}]`;
}

function servedSentence({ names, fingerprint, issuer, origin }: ServedPart): string {
  const what = origin === "temporary" ? "a temporary certificate" : `the certificate of ${issuer}`;
  return `${what} for ${names.join(", ")} (${short(fingerprint)})`;
}

/** Enough of a fingerprint to tell two apart; the whole is in the JSON. */
function short(fingerprint: string): string {
  return `SHA-256 ${fingerprint.slice(0, 16)}…`;
}
