import { fieldValue, listHas } from "../../http1/fields.ts";
import type { Compression } from "../static/content-coding.ts";

/**
 * Whether the app's response may be changed on its way. `fields` are those of the response.
 *
 * Not where it is a part of something (Content-Range, also in 206), has a coding already, says `no-transform`
 * (RFC 9111 section 5.2.2.6), or carries a digest of the bytes as they are (RFC 9530 and the fields before it).
 */
export function mayBeEncoded(fields: readonly string[]): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    switch (fields[index]) {
      case "content-encoding":
      case "content-range":
      case "content-digest":
      case "repr-digest":
      case "digest":
      case "content-md5":
        return false;
      case "cache-control":
        if (/\bno-transform\b/i.test(fields[index + 1] as string)) return false;
        break;
      default:
    }
  }
  return true;
}

/** Says that the response depends on Accept-Encoding (RFC 9110 section 12.5.5), once, beside what Vary says already. */
export function addVary(fields: string[]): void {
  if (listHas(fields, "vary", "accept-encoding") || listHas(fields, "vary", "*")) return;
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === "vary");
  if (at === -1) fields.push("vary", "Accept-Encoding");
  else fields[at + 1] = fields[at + 1] === "" ? "Accept-Encoding" : `${fields[at + 1]}, Accept-Encoding`;
}

/**
 * The fields of the compressed response.
 *
 * A strong ETag names bytes, and these are others, so it becomes weak (RFC 9110 section 8.8.1): the same page. The
 * app compares If-None-Match weakly and answers 304 as before. If-Range and If-Match are compared strongly, where a
 * weak tag matches nothing: a download that goes on starts from the beginning, and an update that names the tag of
 * a compressed response gets 412. Both are safe and the second is unwelcome, but there is no way back: to make the
 * tag strong again on its way to the app, Paddock would have to know that the `W/` was its own and not the app's,
 * for whom two different contents may have one weak tag. An app that uses If-Match says `no-transform` with its tags.
 *
 * Accept-Ranges goes, since nobody has ranges of these bytes.
 */
export function compressedFields(fields: readonly string[], coding: Compression): string[] {
  const changed: string[] = ["content-encoding", coding];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    const value = fields[index + 1] as string;
    if (name === "accept-ranges") continue;
    changed.push(name, name === "etag" ? weakTag(value) : value);
  }
  return changed;
}

/**
 * A 304 says what the 200 would have said (RFC 9110 section 15.4.5): Vary, and the ETag in the form that the client
 * has. With the strong one, a cache would look for a stored response of that tag and find none (RFC 9111 section
 * 4.3.4). Only compression can have made the app's strong tag weak, so If-None-Match tells which form it is.
 */
export function matchNotModified(requestFields: readonly string[], fields: string[]): void {
  addVary(fields);
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === "etag");
  if (at === -1) return;
  const weak = weakTag(fields[at + 1] as string);
  if (fieldValue(requestFields, "if-none-match")?.includes(weak) === true) fields[at + 1] = weak;
}

function weakTag(tag: string): string {
  return tag.startsWith('"') ? `W/${tag}` : tag;
}
