import { join } from "node:path";
import type { StaticMapping } from "../../config/configuration.ts";
import { CompressedForms } from "./compressed-forms.ts";
import { FileRefusal, openContained, refusalOf } from "./contained-file.ts";
import { codingWeights, preferredCoding, type Compression } from "./content-coding.ts";
import { FileCache } from "./file-cache.ts";
import { fileSegments } from "./file-path.ts";
import { HashedNames } from "./hashed-names.ts";
import { makeRepresentation, type Representation } from "./representation.ts";
import { chooseRepresentation, readResource, signatureOf, type Resource } from "./resource.ts";
import {
  answerFrom,
  NOT_ACCEPTABLE,
  NOT_ALLOWED,
  NOT_FOUND,
  refused,
  type StaticRequest,
  type StaticResult,
} from "./static-answer.ts";

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
  /** Whether compressible files without a compressed neighbour are compressed. */
  readonly compress?: boolean;
  readonly forms?: CompressedForms;
}

/** One for all sites of a worker, and for all its configurations: a reload compresses nothing again. */
const FORMS = new CompressedForms();

/** Smallest first, as measured in docs/compression.md: they are made once, so what it takes does not count. */
const ORDER: readonly Compression[] = ["br", "zstd", "gzip"];

const MEMORY = 64 * 1024 * 1024;
const LARGEST_IN_MEMORY = 64 * 1024;

/**
 * How long an answer may be older than the disk, in milliseconds. To look first and then serve would cost a trip
 * to the thread pool per request; to serve first and then look could serve a file hours after it was replaced.
 */
const CHECK_INTERVAL = 1000;

/** The static files of a site; made once per reload, longest prefix first. */
export function createStaticFiles(
  mappings: readonly StaticMapping[],
  options: StaticOptions = {},
): StaticFiles {
  const sorted = [...mappings].sort((a, b) => b.prefix.length - a.prefix.length);
  const roots = sorted.map(({ prefix, folder }) => ({ prefix, folder, hashed: new HashedNames(folder) }));
  return new Files(roots, options);
}

interface Root extends StaticMapping {
  readonly hashed: HashedNames;
}

class Files implements StaticFiles {
  readonly #roots: readonly Root[];
  readonly #now: () => number;
  readonly #cache: FileCache<Resource>;
  readonly #largestInMemory: number;
  readonly #compress: boolean;
  readonly #forms: CompressedForms;
  /** Looks at the disk that are under way: a hundred requests for one file need one. */
  readonly #pending = new Map<string, Promise<Resource | FileRefusal>>();

  constructor(roots: readonly Root[], options: StaticOptions) {
    this.#roots = roots;
    this.#now = options.now ?? Date.now;
    this.#cache = new FileCache(options.memory ?? MEMORY);
    this.#largestInMemory = options.largestInMemory ?? LARGEST_IN_MEMORY;
    this.#compress = options.compress ?? false;
    this.#forms = options.forms ?? FORMS;
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
        compress: this.#compress,
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
    const { representations } = resource;
    let chosen = chooseRepresentation(representations, request.acceptEncoding);
    if (resource.compressible && (chosen === undefined || chosen.coding === "identity"))
      chosen = this.#compressed(resource, request, now) ?? chosen;
    if (chosen === undefined) return NOT_ACCEPTABLE;
    if (chosen.body === null && method === "GET") return this.#answerFromDisk(resource, chosen, request, now);
    return answerFrom(chosen, method, request);
  }

  /**
   * The form that is made where no neighbour is wanted, and until it is there the file itself; undefined where none is
   * to be made. Never for a range without If-Range: its client may hold bytes of the file itself, from before there
   * was a form, and nothing would tell it that these are others.
   */
  #compressed(resource: Resource, request: StaticRequest, now: number): Representation | undefined {
    if (request.range !== undefined && request.ifRange === undefined) return undefined;
    const coding = preferredCoding(codingWeights(request.acceptEncoding), ORDER);
    if (coding === null) return undefined;
    return this.#forms.find(resource, coding, now) ?? resource.representations[0];
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
