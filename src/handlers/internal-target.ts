import { join } from "node:path";
import type { StaticMapping } from "../config/configuration.ts";

export type RedirectField = "x-accel-redirect" | "x-sendfile";

const NAMES: Readonly<Record<RedirectField, string>> = {
  "x-accel-redirect": "X-Accel-Redirect",
  "x-sendfile": "X-Sendfile",
};

/**
 * The file that an app names: in X-Accel-Redirect by a path below a prefix of `internal`, in X-Sendfile by an absolute
 * path inside one of its folders. A `problem` is a sentence for the log.
 *
 * nginx would redirect to any location, the app itself included. Here only `internal` counts: what an app may reach by
 * a field of its response is then one list, and a mistyped path an error that says so, in place of a second request.
 *
 * `mappings` longest prefix first.
 */
export function locate(
  field: RedirectField,
  value: string,
  mappings: readonly StaticMapping[],
): { readonly path: string; readonly folder: string } | { readonly problem: string } {
  const says = `the app answered with ${NAMES[field]}: ${printable(value)}`;
  const target = decodeTarget(field === "x-accel-redirect" ? (value.split("?")[0] ?? "") : value);
  if (target === undefined)
    return { problem: `${says}, which is not UTF-8; quote the path with urllib.parse.quote` };
  if (!target.startsWith("/") || /[\x00-\x1f\x7f]/.test(target) || /(?:^|\/)\.\.?(?:\/|$)/.test(target))
    return { problem: `${says}, which is no absolute path without dot segments` };
  for (const { prefix, folder } of mappings) {
    const start = field === "x-accel-redirect" ? prefix : folder.endsWith("/") ? folder : `${folder}/`;
    if (!target.startsWith(start) || target.length === start.length) continue;
    return { path: join(folder, target.slice(start.length)), folder };
  }
  const what = field === "x-accel-redirect" ? "below no prefix" : "inside no folder";
  return {
    problem: `${says}, which is ${what} of internal; add it to the site's internal in the configuration`,
  };
}

/**
 * Field values come as latin1, so each character is a byte. django-sendfile2 writes percent-encoded UTF-8, older code
 * the bytes as they are; a percent sign that encodes nothing (`100 % sure.pdf`) is of the second kind. Django itself
 * writes text as latin1 where that is enough, so bytes that are not UTF-8 are taken for that.
 */
function decodeTarget(value: string): string | undefined {
  const encoded = value.includes("%") && !/%(?![0-9A-Fa-f]{2})/.test(value);
  const bytes = encoded
    ? value.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : value;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, "latin1"));
  } catch {
    return encoded ? undefined : value;
  }
}

/** As it came, short, and in ASCII. */
function printable(value: string): string {
  return value
    .slice(0, 200)
    .replace(/[^\x20-\x7e]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
