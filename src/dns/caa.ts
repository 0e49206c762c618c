import type { CaaRecord, Questions } from "./questions.ts";

/** The records that a CA goes by for a name. */
interface RelevantCaa {
  /** The name that has them, the name itself or one above it. */
  readonly owner: string;
  readonly records: readonly CaaRecord[];
}

/** Tags that we and CAs understand (RFC 8659, RFC 9495 and the CA/Browser Forum's contacts). */
/** What is beside the property in Node's records. */
const NO_TAGS = ["critical", "type"];

const KNOWN_TAGS = ["issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone"];

/**
 * The relevant record set (RFC 8659 section 3): of the name, or of the nearest name above that has one. Null where none
 * has, and any CA may issue.
 *
 * @throws PaddockError `dns.no-answer`
 */
export async function relevantCaa(name: string, questions: Questions): Promise<RelevantCaa | null> {
  const labels = name.replace(/^\*\./, "").split(".");
  for (let at = 0; at < labels.length; at += 1) {
    const owner = labels.slice(at).join(".");
    const records = await questions.authorizedCas(owner);
    if (records.length > 0) return { owner, records };
  }
  return null;
}

/**
 * Why the records forbid a CA to certify a name, as a clause; null where they do not.
 *
 * @param identities what the CA answers to in such records (RFC 8555 section 7.1.1, caaIdentities).
 * @param methods kinds of challenges that may be used (RFC 8657 section 4, validationmethods).
 */
export function whyForbidden(
  name: string,
  records: readonly CaaRecord[],
  identities: readonly string[],
  methods: readonly string[],
): string | null {
  const unknown = records
    .filter(({ critical }) => critical !== 0)
    .flatMap((record) => Object.keys(record))
    .find((tag) => !NO_TAGS.includes(tag) && !KNOWN_TAGS.includes(tag.toLowerCase()));
  if (unknown !== undefined) return `has a critical property that CAs do not know: ${unknown}`;
  const wild = name.startsWith("*.") ? valuesOf(records, "issuewild") : [];
  // A wildcard goes by issuewild alone where there is one (section 4.3).
  const [tag, values] = wild.length > 0 ? ["issuewild", wild] : ["issue", valuesOf(records, "issue")];
  if (values.length === 0) return null;
  const ours = values.filter((value) => identities.includes(domainOf(value)));
  const listed = values.map((value) => `"${value}"`).join(", ");
  if (ours.length === 0) return `allows ${tag} ${listed} only, and this CA is ${identities.join(", ")}`;
  const allowed = ours.map(methodsOf);
  if (allowed.some((list) => list === null || list.some((method) => methods.includes(method)))) return null;
  return `allows ${tag} ${listed} only, and the challenges here are ${methods.join(", ")}`;
}

function valuesOf(records: readonly CaaRecord[], tag: string): string[] {
  return records.flatMap((record) =>
    Object.entries(record).flatMap(([key, value]) =>
      key.toLowerCase() === tag && typeof value === "string" ? [value] : [],
    ),
  );
}

/** What is before the parameters; empty for a value that allows nobody. */
function domainOf(value: string): string {
  return (value.split(";")[0] ?? "").trim().toLowerCase();
}

/** Null where the record does not limit them. */
function methodsOf(value: string): string[] | null {
  for (const parameter of value.split(";").slice(1)) {
    const [tag = "", text = ""] = parameter.split("=");
    if (tag.trim().toLowerCase() === "validationmethods")
      return text.split(",").map((method) => method.trim().toLowerCase());
  }
  return null;
}
