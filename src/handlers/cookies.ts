import type { CookieConfiguration } from "../config/configuration.ts";

/** Adds to the app's cookies the attributes (RFC 6265 section 4.1) that the site asks for and the app left out. */
export function cookieAttributes(
  configuration: CookieConfiguration,
): (fields: string[], secure: boolean) => void {
  const httpOnly = new Set(configuration.httpOnly);
  return (fields, secure) => {
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] !== "set-cookie") continue;
      const cookie = fields[index + 1] as string;
      const [pair = "", ...attributes] = cookie.split(";");
      const present = new Set(
        attributes.map((attribute) => (attribute.split("=")[0] ?? "").trim().toLowerCase()),
      );
      let completed = cookie;
      // A Secure cookie from a plain connection would be dropped by the browser.
      if (configuration.secure && secure && !present.has("secure")) completed += "; Secure";
      if (httpOnly.has((pair.split("=")[0] ?? "").trim()) && !present.has("httponly"))
        completed += "; HttpOnly";
      if (configuration.sameSite !== null && !present.has("samesite"))
        completed += `; SameSite=${configuration.sameSite}`;
      fields[index + 1] = completed;
    }
  };
}
