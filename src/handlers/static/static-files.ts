import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { StaticMapping } from "../../config/configuration.ts";
import { FileRefusal, openContained, refusalOf } from "./contained-file.ts";
import { FileCache } from "./file-cache.ts";
import { fileSegments } from "./file-path.ts";
import { HashedNames } from "./hashed-names.ts";
import { requestedRange } from "./byte-range.ts";
import { isNotModified, rangeStillHolds } from "./preconditions.ts";
import { makeRepresentation, type Representation } from "./representation.ts";
import { chooseRepresentation, readResource, signatureOf, type Resource } from "./resource.ts";

/** The request fields that matter to a file. */
export interface StaticRequest {
  readonly acceptEncoding: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
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

export interface StaticFiles {
  /**
   * Answers a request, or gives undefined where its path is below no prefix. Answers at once where the file is in
   * memory and was compared with the disk within the last second, else by a promise, which never rejects.
   *
   * @param path origin-form, as the client sent it, without the query.
   */
  lookup(
    path: string,
    method: string,
    request: StaticRequest,
  ): StaticResult | Promise<StaticResult> | undefined;
}

export interface StaticOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Bytes of memory for all files together. */
  readonly memory?: number;
  /** Bytes of the largest file that is kept in memory. */
  readonly largestInMemory?: number;
}

const MEMORY = 64 * 1024 * 1024;
const LARGEST_IN_MEMORY = 64 * 1024;

/**
 * How long an answer may be older than the disk, in milliseconds. To look first and then serve would cost a trip
 * to the thread pool per request; to serve first and then look could serve a file hours after it was replaced.
 */
const CHECK_INTERVAL = 1000;

const NOT_ALLOWED: StaticResult = { kind: "none", status: 405, fields: ["allow", "GET, HEAD"], length: -1 };
const NOT_FOUND: StaticResult = { kind: "none", status: 404, fields: [], length: -1 };

/** The static files of a site; made once per reload, longest prefix first. */
export function createStaticFiles(
  mappings: readonly StaticMapping[],
  options: StaticOptions = {},
): StaticFiles {
  const sorted = [...mappings].sort((a, b) => b.prefix.length - a.prefix.length);
  const roots = sorted.map(({ prefix, folder }) => ({ prefix, folder, hashed: new HashedNames(folder) }));
  const { now = Date.now, memory = MEMORY, largestInMemory = LARGEST_IN_MEMORY } = options;
  return new Files(roots, now, new FileCache(memory), largestInMemory);
}

interface Root extends StaticMapping {
  readonly hashed: HashedNames;
}

class Files implements StaticFiles {
  readonly #roots: readonly Root[];
  readonly #now: () => number;
  readonly #cache: FileCache<Resource>;
  readonly #largestInMemory: number;
  /** Looks at the disk that are under way: a hundred requests for one file need one. */
  readonly #pending = new Map<string, Promise<Resource | FileRefusal>>();

  constructor(
    roots: readonly Root[],
    now: () => number,
    cache: FileCache<Resource>,
    largestInMemory: number,
  ) {
    this.#roots = roots;
    this.#now = now;
    this.#cache = cache;
    this.#largestInMemory = largestInMemory;
  }

  lookup(
    path: string,
    method: string,
    request: StaticRequest,
  ): StaticResult | Promise<StaticResult> | undefined {
    const root = this.#rootOf(path);
    if (root === undefined) return undefined;
    if (method !== "GET" && method !== "HEAD") return NOT_ALLOWED;
    const now = this.#now();
    // A path with an escape in it never comes here: its key is the decoded path behind a "%", see below.
    const cached = this.#cache.get(path);
    // A clock that was set back makes the age negative; then the disk is asked, too.
    if (cached !== undefined && now - cached.checkedAt < CHECK_INTERVAL && now >= cached.checkedAt)
      return this.#answer(cached, method, request, now);
    return this.#lookupSlowly(root, path, method, request, now);
  }

  #rootOf(path: string): Root | undefined {
    for (const root of this.#roots) if (path.startsWith(root.prefix)) return root;
    return undefined;
  }

  #lookupSlowly(
    root: Root,
    path: string,
    method: string,
    request: StaticRequest,
    now: number,
  ): StaticResult | Promise<StaticResult> {
    const segments = fileSegments(path.slice(root.prefix.length));
    if (segments === undefined) return NOT_FOUND;
    // One key for all spellings of a name, or a client could fill the memory with copies of one file. The "%"
    // keeps it apart from paths that were sent as they are.
    const key = path.includes("%") ? `%${root.prefix}${segments.join("/")}` : path;
    const cached = this.#cache.get(key);
    if (cached !== undefined && now - cached.checkedAt < CHECK_INTERVAL && now >= cached.checkedAt)
      return this.#answer(cached, method, request, now);
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      pending = this.#look(root, key, segments, now).finally(() => this.#pending.delete(key));
      this.#pending.set(key, pending);
    }
    return pending.then((found) =>
      found instanceof FileRefusal ? refused(found) : this.#answer(found, method, request, now),
    );
  }

  /** Compares with the disk, and reads what has changed. Never rejects. */
  async #look(
    root: Root,
    key: string,
    segments: readonly string[],
    now: number,
  ): Promise<Resource | FileRefusal> {
    const path = join(root.folder, ...segments);
    try {
      const immutable = await root.hashed.has(segments.join("/"), now);
      const known = this.#cache.get(key);
      if (known !== undefined && known.signature === (await signatureOf(path, immutable))) {
        known.checkedAt = now;
        this.#cache.touch(key);
        return known;
      }
      const { folder } = root;
      const resource = await readResource({
        folder,
        path,
        immutable,
        largestInMemory: this.#largestInMemory,
        now,
      });
      this.#cache.set(key, resource);
      return resource;
    } catch (error) {
      this.#cache.delete(key);
      return refusalOf(error, path);
    }
  }

  #answer(
    resource: Resource,
    method: string,
    request: StaticRequest,
    now: number,
  ): StaticResult | Promise<StaticResult> {
    const chosen = chooseRepresentation(resource.representations, request.acceptEncoding);
    if (chosen === undefined)
      return { kind: "none", status: 406, fields: ["vary", "Accept-Encoding"], length: -1 };
    if (chosen.body === null && method === "GET") return this.#answerFromDisk(resource, chosen, request, now);
    return answerFrom(chosen, method, request);
  }

  /** A large file is opened for every response: what is sent is the file that the head was made from. */
  async #answerFromDisk(
    resource: Resource,
    chosen: Representation,
    request: StaticRequest,
    now: number,
  ): Promise<StaticResult> {
    try {
      const file = await openContained(chosen.path, resource.folder);
      const { coding, path } = chosen;
      const current =
        file.fingerprint === chosen.fingerprint
          ? chosen
          : makeRepresentation(file, { ...resource, coding, path, body: null, now });
      const result = answerFrom(current, "GET", request, file.handle);
      if (result.kind !== "file") await file.handle.close();
      return result;
    } catch (error) {
      return refused(refusalOf(error, chosen.path));
    }
  }
}

function refused({ status, logReason }: FileRefusal): StaticResult {
  if (logReason === undefined) return NOT_FOUND;
  return { kind: "none", status, fields: [], length: -1, logReason };
}

/** Preconditions first, then the range (RFC 9110 section 13.2.2). `handle` for a GET of a file not in memory. */
function answerFrom(
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
