/** Longest name that Linux file systems take, in bytes; a longer one cannot exist. */
const LONGEST_NAME = 255;

/**
 * The segments below a prefix that a raw path names, or undefined where it names nothing that may be served.
 *
 * Percent-encoding is decoded once and strictly: what is malformed, and what decodes to something that a file
 * system and a URL read differently, is refused here and never handed to the disk to sort out. That is a slash or
 * NUL or backslash in encoded form, invalid UTF-8, empty and dot segments, and every name that begins with a dot
 * (`.git`, `.env`, and `.well-known`, which belongs to the ACME handler).
 *
 * @param rest what follows the prefix, as the client sent it, without the query.
 */
export function fileSegments(rest: string): readonly string[] | undefined {
  const segments = rest.split("/");
  for (const [index, raw] of segments.entries()) {
    const segment = decodeSegment(raw);
    if (segment === undefined || segment === "" || segment.startsWith(".")) return undefined;
    segments[index] = segment;
  }
  return segments;
}

function decodeSegment(raw: string): string | undefined {
  // RFC 3986 section 3.3: everything beyond ASCII arrives encoded; raw bytes have no charset to decode them by.
  if (/[^\x21-\x7e]|[\\?#]/.test(raw)) return undefined;
  let segment = raw;
  if (raw.includes("%")) {
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
  }
  if (/[/\\\x00-\x1f\x7f]/.test(segment) || Buffer.byteLength(segment) > LONGEST_NAME) return undefined;
  return segment;
}
