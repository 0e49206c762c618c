import type { FileHandle } from "node:fs/promises";
import { requestedRange } from "./byte-range.ts";
import type { FileRefusal } from "./contained-file.ts";
import { isNotModified, rangeStillHolds } from "./preconditions.ts";
import type { Representation } from "./representation.ts";

/** The request fields that matter to a file. */
export interface StaticRequest {
  readonly acceptEncoding: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** Gathers them in one pass over the request. */
export function staticRequest(fields: readonly string[]): StaticRequest {
  let acceptEncoding: string | undefined;
  let ifNoneMatch: string | undefined;
  let ifModifiedSince: string | undefined;
  let range: string | undefined;
  let ifRange: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    const value = fields[index + 1] as string;
    switch (fields[index]) {
      case "accept-encoding":
        acceptEncoding = acceptEncoding === undefined ? value : `${acceptEncoding}, ${value}`;
        break;
      case "if-none-match":
        ifNoneMatch = ifNoneMatch === undefined ? value : `${ifNoneMatch}, ${value}`;
        break;
      case "if-modified-since":
        ifModifiedSince ??= value;
        break;
      case "range":
        range ??= value;
        break;
      case "if-range":
        ifRange ??= value;
        break;
      default:
    }
  }
  return { acceptEncoding, ifNoneMatch, ifModifiedSince, range, ifRange };
}

/**
 * What to answer. `fields` alternate name (lower case) and value and hold no framing fields; the arrays are
 * shared between responses and MUST NOT be changed.
 */
export type StaticResult =
  | {
      readonly kind: "memory";
      readonly status: 200 | 206;
      readonly fields: readonly string[];
      /** The fields as lines of an HTTP/1.1 head, each with its CRLF. */
      readonly block: string;
      readonly body: Buffer;
    }
  | {
      readonly kind: "file";
      readonly status: 200 | 206;
      readonly fields: readonly string[];
      /** The caller MUST close it, whatever becomes of the response. */
      readonly handle: FileHandle;
      /** First byte to send, and how many, in bytes. */
      readonly start: number;
      readonly length: number;
    }
  | {
      /** No body: HEAD (200), 304, 403, 404, 405, 406, 416, 500, 503. */
      readonly kind: "none";
      readonly status: number;
      readonly fields: readonly string[];
      /** Content-Length that a HEAD gets; -1 where the response says nothing about one. */
      readonly length: number;
      /** Cause and fix for the log; never for the client. */
      readonly logReason?: string;
    };

export const NOT_ALLOWED: StaticResult = {
  kind: "none",
  status: 405,
  fields: ["allow", "GET, HEAD"],
  length: -1,
};
export const NOT_FOUND: StaticResult = { kind: "none", status: 404, fields: [], length: -1 };
export const NOT_ACCEPTABLE: StaticResult = {
  kind: "none",
  status: 406,
  fields: ["vary", "Accept-Encoding"],
  length: -1,
};

export function refused({ status, logReason }: FileRefusal): StaticResult {
  if (logReason === undefined) return NOT_FOUND;
  return { kind: "none", status, fields: [], length: -1, logReason };
}

/** Preconditions first, then the range (RFC 9110 section 13.2.2). `handle` for a GET of a file not in memory. */
export function answerFrom(
  chosen: Representation,
  method: string,
  request: StaticRequest,
  handle?: FileHandle,
): StaticResult {
  const { fields, size, body } = chosen;
  const { ifNoneMatch, ifModifiedSince } = request;
  if (
    (ifNoneMatch !== undefined || ifModifiedSince !== undefined) &&
    isNotModified(ifNoneMatch, ifModifiedSince, chosen)
  )
    return { kind: "none", status: 304, fields: chosen.notModifiedFields, length: -1 };
  // A range means something for GET alone (RFC 9110 section 14.2).
  if (method === "HEAD") return { kind: "none", status: 200, fields, length: size };
  const range =
    request.range !== undefined && rangeStillHolds(request.ifRange, chosen)
      ? requestedRange(request.range, size)
      : undefined;
  if (range === "unsatisfiable")
    return { kind: "none", status: 416, fields: ["content-range", `bytes */${size}`], length: -1 };
  if (range === undefined) {
    if (body !== null) return { kind: "memory", status: 200, fields, block: chosen.block, body };
    if (handle !== undefined) return { kind: "file", status: 200, fields, handle, start: 0, length: size };
    return NOT_FOUND;
  }
  const { start, length } = range;
  const contentRange = `bytes ${start}-${start + length - 1}/${size}`;
  const partial = [...fields, "content-range", contentRange];
  if (body !== null) {
    const block = `${chosen.block}content-range: ${contentRange}\r\n`;
    return {
      kind: "memory",
      status: 206,
      fields: partial,
      block,
      body: body.subarray(start, start + length),
    };
  }
  if (handle !== undefined) return { kind: "file", status: 206, fields: partial, handle, start, length };
  return NOT_FOUND;
}
