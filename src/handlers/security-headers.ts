import type { SiteConfiguration } from "../config/configuration.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { httpDate } from "../exchange/http-date.ts";

/** Set where the app did not; what Django's own SecurityMiddleware sends, so that there is never a second copy. */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "same-origin"],
  ["x-frame-options", "DENY"],
  ["cross-origin-opener-policy", "same-origin"],
];

/** Makes the function that completes a site's response fields; the tables are resolved here, once per reload. */
export function securityHeaders(site: SiteConfiguration): (fields: string[], exchange: Exchange) => void {
  const set = new Map<string, string>(DEFAULTS);
  const removed = new Set<string>();
  for (const [name, value] of Object.entries(site.headers)) {
    const key = name.toLowerCase();
    if (value === null) {
      set.delete(key);
      removed.add(key);
    } else {
      set.set(key, value);
    }
  }
  const hsts = site.hsts === null ? null : hstsValue(site.hsts);
  if (hsts !== null) set.set("strict-transport-security", hsts);
  // One bit per field that may have to be added: a response costs a map look-up per field and no allocation.
  const additions = [...set.entries()].map(([name, value], index) => ({
    name,
    value,
    bit: 1 << (index + 2),
  }));
  const bits = new Map<string, number>([
    ["date", DATE],
    ["x-request-id", REQUEST_ID],
    ...additions.map(({ name, bit }) => [name, bit] as const),
  ]);
  return (fields, exchange) => {
    let present = 0;
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index] as string;
      if (removed.size > 0 && removed.has(name)) {
        fields.splice(index, 2);
        index -= 2;
      } else {
        present |= bits.get(name) ?? 0;
      }
    }
    for (const { name, value, bit } of additions) {
      if ((present & bit) !== 0) continue;
      if (name === "strict-transport-security" && !exchange.secure) continue;
      fields.push(name, value);
    }
    if ((present & DATE) === 0) fields.push("date", httpDate());
    if ((present & REQUEST_ID) === 0) fields.push("x-request-id", exchange.id);
  };
}

const DATE = 1;
const REQUEST_ID = 2;

/** RFC 6797 section 6.1; max-age in seconds. */
function hstsValue(hsts: NonNullable<SiteConfiguration["hsts"]>): string {
  return (
    `max-age=${Math.round(hsts.maxAge / 1000)}` +
    (hsts.includeSubDomains ? "; includeSubDomains" : "") +
    (hsts.preload ? "; preload" : "")
  );
}
