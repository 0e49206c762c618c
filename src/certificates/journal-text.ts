import type { JournalProblem } from "./journal-event.ts";

/** Characters of one text. */
const LONGEST = 1000;
const MOST_SUBPROBLEMS = 10;

/**
 * A text of a CA's or of an error's, fit to be kept: short, one line, without secrets.
 *
 * CAs quote the challenge's URL and the key authorization that they expected. Both are worthless once the order
 * has ended, but a journal is read and passed on by people who need not think about that.
 */
export function journalText(text: string): string {
  const clean = text
    .replaceAll(/-----BEGIN [^]*?(?:-----END [^-]*-----|$)/g, "(PEM)")
    .replaceAll(/(\/\.well-known\/acme-challenge\/)[^\s"'<>:;,)\]]+/g, "$1…")
    .replaceAll(/[A-Za-z0-9_-]{22,}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/g, "…")
    .replaceAll(/[A-Za-z0-9_-]{40,}/g, (run) => (looksRandom(run) ? "…" : run))
    // oxlint-disable-next-line no-control-regex -- a terminal that shows the journal must not be steered by a CA
    .replaceAll(/[\x00-\x1f\x7f-\x9f]+/g, " ");
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST - 1)}…` : clean;
}

/** Host names are lower case and digests are hexadecimal; base64url of random bytes has both cases in it. */
function looksRandom(run: string): boolean {
  return /[a-z]/.test(run) && /[A-Z]/.test(run);
}

/** The problem document in an error, if there is one: the error of the ACME client has its three members. */
export function problemIn(error: unknown): JournalProblem | null {
  if (typeof error !== "object" || error === null) return null;
  const { type, detail, subproblems, cause } = error as Record<string, unknown>;
  if (typeof type !== "string" || typeof detail !== "string") return problemIn(cause);
  const listed: unknown[] = Array.isArray(subproblems) ? subproblems : [];
  return {
    type: journalText(type),
    detail: journalText(detail),
    subproblems: listed.slice(0, MOST_SUBPROBLEMS).map((item) => {
      const part = (item ?? {}) as Record<string, unknown>;
      return {
        type: journalText(String(part["type"])),
        detail: journalText(String(part["detail"])),
        identifier: typeof part["identifier"] === "string" ? journalText(part["identifier"]) : null,
      };
    }),
  };
}
