import type { OpenFile } from "./contained-file.ts";
import type { Coding, Compression } from "./content-coding.ts";
import type { Validators } from "./preconditions.ts";

/** One form of a file, with everything about its responses made once. */
export interface Representation extends Validators {
  readonly coding: Coding;
  /** Absolute path of the file that holds this form. */
  readonly path: string;
  readonly fingerprint: string;
  /** Bytes. */
  readonly size: number;
  /** Null for a file too large to keep. */
  readonly body: Buffer | null;
  /** Fields of the 200, name and value alternating; framing is the Exchange's. */
  readonly fields: readonly string[];
  /** `fields` as the lines of an HTTP/1.1 head, each with its CRLF. */
  readonly block: string;
  /** Fields of the 304 (RFC 9110 section 15.4.5). */
  readonly notModifiedFields: readonly string[];
}

/** What a representation is made of, beside the file. */
export interface RepresentationOptions {
  readonly coding: Coding;
  readonly path: string;
  readonly contentType: string;
  /** A name with a hash of the content in it: the response may be kept for good. */
  readonly immutable: boolean;
  /** Other codings exist, so caches must tell clients apart. */
  readonly varies: boolean;
  readonly body: Buffer | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A year is the longest that HTTP caches honour; the hour is what Paddock promises for other names. */
const CACHE_FOR_GOOD = "public, max-age=31536000, immutable";
const CACHE_AN_HOUR = "public, max-age=3600";

/** The form that a file on disk holds. */
export function makeRepresentation(file: OpenFile, options: RepresentationOptions): Representation {
  const { coding } = options;
  const { etag, modified } = validatorsOf(file, options.now, coding === "identity" ? "" : `-${coding}`);
  const { fingerprint, size } = file;
  return represent({ ...options, fingerprint, size, etag, modified });
}

/** `suffix` tells the forms of one file apart, since a strong tag names bytes; `now` in milliseconds. */
export function validatorsOf(file: OpenFile, now: number, suffix = ""): Validators {
  // Nanoseconds, since a second is long enough for two versions.
  const etag = `"${file.mtimeNs.toString(36)}-${file.size.toString(36)}${suffix}"`;
  // RFC 9110 section 8.8.2.1: never later than the response itself, whatever a wrong clock wrote to the disk.
  const modified = Math.floor(Math.min(Number(file.mtimeNs / 1_000_000n), now) / 1000);
  return { etag, modified, lastModified: new Date(modified * 1000).toUTCString() };
}

/**
 * The form that was made of a file's own in memory. `tag` names its bytes: they depend on the file, and on the version
 * of the compressor too, which the file's time does not tell.
 */
export function compressedRepresentation(
  own: Representation,
  made: { readonly coding: Compression; readonly body: Buffer; readonly tag: string },
  options: { readonly contentType: string; readonly immutable: boolean },
): Representation {
  const { path, fingerprint, modified } = own;
  const etag = `${own.etag.slice(0, -1)}-${made.coding}-${made.tag}"`;
  const size = made.body.length;
  return represent({ ...options, ...made, path, fingerprint, modified, etag, size, varies: true });
}

function represent(
  form: Omit<RepresentationOptions, "now"> & {
    readonly fingerprint: string;
    readonly size: number;
    readonly etag: string;
    readonly modified: number;
  },
): Representation {
  const { coding, path, fingerprint, size, body, etag, modified } = form;
  const lastModified = new Date(modified * 1000).toUTCString();
  const lasting = [
    "etag",
    etag,
    "cache-control",
    form.immutable ? CACHE_FOR_GOOD : CACHE_AN_HOUR,
    ...(form.varies ? ["vary", "Accept-Encoding"] : []),
  ];
  const fields = [
    "content-type",
    form.contentType,
    ...(coding === "identity" ? [] : ["content-encoding", coding]),
    "last-modified",
    lastModified,
    "accept-ranges",
    "bytes",
    ...lasting,
  ];
  return {
    coding,
    path,
    fingerprint,
    size,
    body,
    etag,
    modified,
    lastModified,
    fields,
    block: fieldBlock(fields),
    notModifiedFields: lasting,
  };
}

function fieldBlock(fields: readonly string[]): string {
  let block = "";
  for (let index = 0; index < fields.length; index += 2)
    block += `${fields[index]}: ${fields[index + 1]}\r\n`;
  return block;
}
