import type { Exchange } from "../../exchange/exchange.ts";

/**
 * The primary key (RFC 9111 section 2) within a site: scheme, host and target as the client sent them. The host with
 * its port and its case, since the app gets it so and may write it into the page: whoever sends another one gets, and
 * spoils, an entry of its own.
 */
export function cacheKey(exchange: Exchange, target = exchange.target): string {
  return `${exchange.secure ? "https" : "http"} ${exchange.host} ${target}`;
}

/** What a purge means: a path with any query, a whole target, or all that begins with it where it ends in `*`. */
export function keyMatcher(pattern: string): (key: string) => boolean {
  const prefix = pattern.endsWith("*") ? pattern.slice(0, -1) : null;
  const query = pattern.includes("?");
  return (key) => {
    const target = key.slice(key.indexOf(" ", key.indexOf(" ") + 1) + 1);
    if (prefix !== null) return target.startsWith(prefix);
    if (query) return target === pattern;
    const end = target.indexOf("?");
    return (end === -1 ? target : target.slice(0, end)) === pattern;
  };
}

/**
 * The keys that an unsafe request's success makes invalid (RFC 9111 section 4.4): its own target, and what Location
 * and Content-Location name on the same host; another host's would let one site empty another's cache.
 */
export function invalidatedKeys(exchange: Exchange, fields: readonly string[]): string[] {
  const base = `${exchange.secure ? "https" : "http"}://${exchange.host}`;
  const keys = new Set([cacheKey(exchange)]);
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== "location" && fields[index] !== "content-location") continue;
    const target = URL.parse(fields[index + 1] as string, `${base}${exchange.target}`);
    const own = URL.parse(base);
    if (target !== null && own !== null && target.origin === own.origin)
      keys.add(cacheKey(exchange, `${target.pathname}${target.search}`));
  }
  return [...keys];
}
