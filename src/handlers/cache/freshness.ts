import { fieldValue } from "../../http1/fields.ts";
import { secondsOf, type Directives } from "./cache-control.ts";

/** How long a response may be used; all in seconds. */
export interface Freshness {
  /** RFC 9111 section 4.2.1, counted from when the origin made it. */
  readonly lifetime: number;
  /** Its age when it came (section 4.2.3, corrected_initial_age). */
  readonly initialAge: number;
  /** RFC 5861 section 3: beyond the lifetime, while it is fetched anew. */
  readonly whileRevalidating: number;
  /** RFC 5861 section 4: beyond the lifetime, where the app fails. */
  readonly ifError: number;
}

/**
 * What the app says of a response's freshness; null where it says nothing: Paddock does not guess (section 4.2.2 allows
 * it), since what an app did not mean to be cached is more often a page of somebody than not.
 *
 * `requestedAt` and `now` in milliseconds since the epoch.
 */
export function freshnessOf(
  fields: readonly string[],
  directives: Directives,
  accelExpires: string | undefined,
  requestedAt: number,
  now: number,
): Freshness | null {
  const date = httpTime(fieldValue(fields, "date")) ?? now;
  const lifetime = accelLifetime(accelExpires, date) ?? lifetimeOf(fields, directives, date);
  if (lifetime === null) return null;
  const ageField = fieldValue(fields, "age");
  const ageValue = ageField !== undefined && /^\d+$/.test(ageField) ? Number(ageField) : 0;
  const apparentAge = Math.max(0, (now - date) / 1000);
  // Section 4.2.4: these forbid what is stale. s-maxage says the same by section 5.2.2.10, but an app that writes
  // stale-while-revalidate beside it has asked for both, and every CDN takes it so.
  const strict = directives.has("must-revalidate") || directives.has("proxy-revalidate");
  return {
    lifetime,
    initialAge: Math.max(apparentAge, ageValue + (now - requestedAt) / 1000),
    whileRevalidating: strict ? 0 : (secondsOf(directives, "stale-while-revalidate") ?? 0),
    ifError: strict ? 0 : (secondsOf(directives, "stale-if-error") ?? 0),
  };
}

/** Section 4.2.1: the first that is there. */
function lifetimeOf(fields: readonly string[], directives: Directives, date: number): number | null {
  const seconds = secondsOf(directives, "s-maxage") ?? secondsOf(directives, "max-age");
  if (seconds !== undefined) return seconds;
  const expires = fieldValue(fields, "expires");
  if (expires === undefined) return null;
  // Section 5.3: a date that is none, "0" above all, lies in the past.
  return Math.max(0, ((httpTime(expires) ?? 0) - date) / 1000);
}

/** nginx's field: seconds, or `@` and seconds since the epoch; it stands above Cache-Control and Expires. */
function accelLifetime(value: string | undefined, date: number): number | null {
  if (value === undefined) return null;
  const [, at, digits = ""] = /^(@?)(\d{1,12})$/.exec(value) ?? [];
  if (at === undefined) return 0;
  return at === "@" ? Math.max(0, Number(digits) - date / 1000) : Number(digits);
}

/** Milliseconds since the epoch; undefined for what is no date of RFC 9110 section 5.6.7 in its preferred form. */
export function httpTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const milliseconds = Date.parse(text);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
