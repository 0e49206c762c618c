import { FIELD_VALUE, LIMITS, TOKEN } from "./grammar.ts";
import { MessageError } from "./problem.ts";

/** Name and value alternate; names are lower case. A flat list, since it is read far more often than searched. */
export type Fields = string[];

/**
 * Reads field lines (RFC 9112 section 5) from `lines[from]` on. No folding, no space before the colon, no
 * control characters. `status` is what a breach answers with: 400 for a request, 502 for a response.
 */
export function parseFieldLines(lines: readonly string[], from: number, status: number): Fields {
  if (lines.length - from > LIMITS.fieldCount) {
    throw new MessageError(status === 400 ? 431 : status, `more than ${LIMITS.fieldCount} fields`);
  }
  const fields: Fields = [];
  for (let index = from; index < lines.length; index++) {
    const line = lines[index] as string;
    const colon = line.indexOf(":");
    if (colon <= 0) throw new MessageError(status, "a field line without a name and a colon");
    const name = line.slice(0, colon);
    if (!TOKEN.test(name)) throw new MessageError(status, "a field name that is not a token");
    const value = trimWhitespace(line, colon + 1);
    if (!FIELD_VALUE.test(value)) throw new MessageError(status, "a control character in a field value");
    fields.push(name.toLowerCase(), value);
  }
  return fields;
}

/** RFC 9110 section 5.5: optional whitespace around a value is not part of it. Only space and tab count. */
export function trimWhitespace(line: string, from = 0): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** The value of the first field of that name, or undefined. `name` MUST be lower case. */
export function fieldValue(fields: readonly string[], name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === name) return fields[index + 1];
  }
  return undefined;
}

/** Whether a comma-separated list field holds `word`, in any of its lines, without regard to case. */
export function listHas(fields: readonly string[], name: string, word: string): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue;
    for (const item of (fields[index + 1] as string).split(",")) {
      if (trimWhitespace(item).toLowerCase() === word) return true;
    }
  }
  return false;
}

/** Field lines as they go over the wire, each with its CRLF. */
export function serializeFields(fields: readonly string[]): string {
  let text = "";
  for (let index = 0; index < fields.length; index += 2) text += `${fields[index]}: ${fields[index + 1]}\r\n`;
  return text;
}
