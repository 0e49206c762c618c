import { fieldValue } from "../../http1/fields.ts";
import { directivesOf } from "./cache-control.ts";
import { freshnessOf, type Freshness } from "./freshness.ts";

/** What of the request bears on whether its response may be stored. */
export interface StoringRequest {
  /** It had a password, or another server told the app who asks. */
  readonly personal: boolean;
  /** When it was sent, milliseconds since the epoch. */
  readonly at: number;
}

export type Storability =
  | {
      readonly stored: true;
      readonly freshness: Freshness;
      /** It may answer a request with Authorization (RFC 9111 section 3.5). */
      readonly forEverybody: boolean;
      /** Lower case; of the request fields that it depends on. */
      readonly vary: readonly string[];
    }
  | { readonly stored: false; readonly reason: string };

/** RFC 9110 section 15.1, without 206 (parts) and 405, 414, 501, which answer what nobody should ask twice. */
const STATUSES = new Set([200, 203, 204, 300, 301, 308, 404, 410]);

/**
 * Whether a shared cache may store the response to a GET (RFC 9111 section 3), and where not, why. Stricter than the
 * RFC: freshness must be explicit, `no-cache` is not stored, and neither is anything with Set-Cookie, whatever else it
 * says: a session of one visitor given to all others is worse than any slow page.
 *
 * `fields` as the app sent them, `now` in milliseconds since the epoch.
 */
export function storability(
  request: StoringRequest,
  status: number,
  fields: readonly string[],
  now: number,
): Storability {
  const refuse = (reason: string): Storability => ({ stored: false, reason });
  if (!STATUSES.has(status)) return refuse(`status ${status}`);
  const vary: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    if (name === "set-cookie") return refuse("Set-Cookie");
    if (name === "content-range") return refuse("Content-Range");
    if (name === "x-accel-redirect" || name === "x-sendfile") return refuse("a file that the app names");
    // It would be held until its end, which may never come.
    if (name === "x-accel-buffering" && value.toLowerCase() === "no") return refuse("X-Accel-Buffering: no");
    if (name === "content-type" && /^text\/event-stream\b/i.test(value)) return refuse("event stream");
    if (name === "vary") {
      for (const item of value.split(",")) {
        const word = item.trim().toLowerCase();
        if (word === "*") return refuse("Vary: *");
        if (word !== "" && !vary.includes(word)) vary.push(word);
      }
    }
    if (name.startsWith("content-security-policy") && value.toLowerCase().includes("'nonce-"))
      return refuse("nonce");
  }
  const directives = directivesOf(fields);
  // Qualified forms (private="field") count as the plain ones: sections 5.2.2.4 and 5.2.2.7 allow it.
  for (const word of ["no-store", "private", "no-cache"]) if (directives.has(word)) return refuse(word);
  const forEverybody =
    directives.has("public") || directives.has("s-maxage") || directives.has("must-revalidate");
  if (request.personal && !forEverybody) return refuse("Authorization");
  const accelExpires = fieldValue(fields, "x-accel-expires");
  const freshness = freshnessOf(fields, directives, accelExpires, request.at, now);
  if (freshness === null) return refuse("no explicit freshness");
  if (freshness.lifetime + freshness.whileRevalidating + freshness.ifError <= freshness.initialAge)
    return refuse("not fresh");
  return { stored: true, freshness, forEverybody, vary };
}

/** A body that only one visitor may get; HTML of an unknown coding cannot be looked into. */
export function secretIn(fields: readonly string[], body: Buffer): string | null {
  if (!mayBeHtml(fields)) return null;
  if (isEncoded(fields)) return "HTML in a coding";
  if (body.includes("csrfmiddlewaretoken")) return "CSRF token";
  return NONCE.test(body.toString("latin1")) ? "nonce" : null;
}

/** The attribute of script, style and link; `data-nonce` and the like are the page's own affair, and refused too. */
const NONCE = /<[a-z][^>]*[\s"'/-]nonce\s*=/i;

/** Also where no type is told: a browser would sniff it. */
export function mayBeHtml(fields: readonly string[]): boolean {
  const type = fieldValue(fields, "content-type");
  return type === undefined || /\bx?html\b/i.test(type);
}

function isEncoded(fields: readonly string[]): boolean {
  const coding = fieldValue(fields, "content-encoding");
  return coding !== undefined && coding.toLowerCase() !== "identity";
}
