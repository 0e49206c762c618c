/**
 * Types whose bodies shrink when they are compressed, beside `text/*` and the suffixes below. Images, sound, film,
 * archives, PDF and WOFF are compressed already: a second time costs processor time and gains nothing.
 */
const COMPRESSIBLE: ReadonlySet<string> = new Set([
  "application/ecmascript",
  "application/graphql",
  "application/javascript",
  "application/json",
  "application/ndjson",
  "application/rtf",
  "application/sql",
  "application/toml",
  "application/vnd.ms-fontobject",
  "application/wasm",
  "application/x-javascript",
  "application/x-ndjson",
  "application/x-sh",
  "application/x-yaml",
  "application/xml",
  "application/yaml",
  "font/collection",
  "font/otf",
  "font/ttf",
  "image/bmp",
  "image/x-icon",
]);

/** Structured syntax suffixes (RFC 6838 section 4.2.8) of text: `image/svg+xml`, `application/problem+json`. */
const COMPRESSIBLE_SUFFIX = /\+(?:json|xml|yaml|text)$/;

/**
 * An event stream is text and stays as it is: each event is small and must go out at once, and a coding that is
 * flushed for each of them would add bytes where it is meant to save some.
 */
const NEVER = "text/event-stream";

/** An app sends a handful of different values, so each is looked at once. Bounded, since an app may make them up. */
const known = new Map<string, boolean>();
const MOST_KNOWN = 256;

/** Whether a body of this Content-Type (RFC 9110 section 8.3) is worth compressing. */
export function isCompressible(contentType: string): boolean {
  let answer = known.get(contentType);
  if (answer === undefined) {
    const type = (contentType.split(";")[0] ?? "").trim().toLowerCase();
    answer =
      type !== NEVER &&
      (type.startsWith("text/") || COMPRESSIBLE.has(type) || COMPRESSIBLE_SUFFIX.test(type));
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(contentType, answer);
  }
  return answer;
}
