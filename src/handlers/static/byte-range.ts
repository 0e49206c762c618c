/** Bytes of a file: `start` counts from 0, `length` is never 0. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/**
 * The range that a Range field asks for (RFC 9110 section 14.2), `unsatisfiable` for 416, or undefined where the
 * whole is to be sent: no field, another unit, malformed, or several ranges. The last of these is allowed by the
 * RFC, and multipart/byteranges has been a source of amplification attacks for no client that needs it.
 */
export function requestedRange(
  field: string | undefined,
  size: number,
): ByteRange | "unsatisfiable" | undefined {
  if (field === undefined) return undefined;
  const [, first, last] = /^bytes=[ \t]*(\d{0,16})-(\d{0,16})[ \t]*$/i.exec(field) ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const suffix = Math.min(Number(last), size);
    return suffix === 0 ? "unsatisfiable" : { start: size - suffix, length: suffix };
  }
  const start = Number(first);
  const end = last === "" ? size - 1 : Number(last);
  if (last !== "" && end < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { start, length: Math.min(end, size - 1) - start + 1 };
}
