/**
 * The Retry-After field (RFC 9110 §10.2.3), a number of seconds or an HTTP date, as milliseconds from `now`.
 * Null where it is absent or says nothing; never negative.
 */
export function parseRetryAfter(value: string | undefined, now: number): number | null {
  if (value === undefined) return null;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // Date.parse accepts much that is no date at all (`-3`), so an HTTP date must at least begin like one.
  if (!/^[A-Z][a-z]{2}/.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
