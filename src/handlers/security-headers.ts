import type { SiteConfiguration } from "../config/configuration.ts";
import type { Exchange } from "../exchange/exchange.ts";

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
  const names = [...set.keys()];
  const hsts = site.hsts === null ? null : hstsValue(site.hsts);
  return (fields, exchange) => {
    const present = new Set<string>();
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index] as string;
      if (removed.has(name)) {
        fields.splice(index, 2);
        index -= 2;
      } else {
        present.add(name);
      }
    }
    for (const name of names) if (!present.has(name)) fields.push(name, set.get(name) as string);
    if (hsts !== null && exchange.secure && !present.has("strict-transport-security")) {
      fields.push("strict-transport-security", hsts);
    }
    if (!present.has("date")) fields.push("date", new Date().toUTCString());
    if (!present.has("x-request-id")) fields.push("x-request-id", exchange.id);
  };
}

/** RFC 6797 section 6.1; max-age in seconds. */
function hstsValue(hsts: NonNullable<SiteConfiguration["hsts"]>): string {
  return (
    `max-age=${Math.round(hsts.maxAge / 1000)}` +
    (hsts.includeSubDomains ? "; includeSubDomains" : "") +
    (hsts.preload ? "; preload" : "")
  );
}
