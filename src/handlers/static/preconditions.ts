/** What the conditional fields of a GET or HEAD come to (RFC 9110 section 13.2.2). */
export interface Validators {
  /** Strong, with its quotes. */
  readonly etag: string;
  /** Seconds since the epoch: HTTP dates have no fractions. */
  readonly modified: number;
  /** `modified` as an HTTP date. */
  readonly lastModified: string;
}

/** Whether the client has the representation already and 304 is the answer. */
export function isNotModified(
  ifNoneMatch: string | undefined,
  ifModifiedSince: string | undefined,
  validators: Validators,
): boolean {
  // If-Modified-Since MUST be ignored where If-None-Match is there, also where that does not match.
  if (ifNoneMatch !== undefined) return matchesAny(ifNoneMatch, validators.etag);
  if (ifModifiedSince === undefined) return false;
  if (ifModifiedSince === validators.lastModified) return true;
  const since = parseHttpDate(ifModifiedSince);
  return since !== undefined && validators.modified <= since;
}

/** Whether a range may be served, or the whole must be: If-Range compares strongly (RFC 9110 section 13.1.5). */
export function rangeStillHolds(ifRange: string | undefined, validators: Validators): boolean {
  if (ifRange === undefined) return true;
  return ifRange === validators.etag || ifRange === validators.lastModified;
}

/** The weak comparison of a list of entity tags with one of ours, which are all strong. */
function matchesAny(field: string, etag: string): boolean {
  if (field === etag) return true;
  if (field.trim() === "*") return true;
  // An opaque tag may hold commas, so the list is matched and not split.
  const member = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;
  for (const [, tag] of field.matchAll(member)) if (tag === etag) return true;
  return false;
}

/** Seconds since the epoch; undefined for what is no date of the form that RFC 9110 section 5.6.7 prefers. */
function parseHttpDate(text: string): number | undefined {
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000;
}
