import { promisify } from "node:util";
import { brotliCompress, constants, gzip, zstdCompress } from "node:zlib";
import { openContained } from "./contained-file.ts";
import type { Compression } from "./content-coding.ts";
import { FileCache, type Costly } from "./file-cache.ts";
import { compressedRepresentation, type Representation } from "./representation.ts";
import { readWhole, type Resource } from "./resource.ts";

/** Bytes of compressed bodies that are kept, for all sites of a worker. */
const MEMORY = 32 * 1024 * 1024;
const OVERHEAD = 2048;

/** Files that wait for their turn; who comes later asks again with the next request. */
const MOST_WAITING = 256;

/** Versions of files whose hash is known; beyond that all are forgotten and hashed anew when they are asked for. */
const MOST_CONTENTS = 20_000;

/** Above this many bytes the highest levels would keep a processor busy for seconds (docs/compression.md). */
const LARGEST_FOR_HIGHEST = 1024 * 1024;

/** How often an entry that is used moves to the young end of the cache, in milliseconds. */
const TOUCH_INTERVAL = 1000;

/** A compressed body. Files of equal content (Django keeps `a.css` and `a.27e20196a850.css`) share one. */
interface Form extends Costly {
  readonly coding: Compression;
  readonly body: Buffer;
  /** Names the bytes of `body` in an ETag. */
  readonly tag: string;
  readonly representations: WeakMap<Resource, Representation>;
  touchedAt: number;
}

/** What is known of one version of a file: its hash, and for each coding the key of the form or why there is none. */
interface Content {
  digest: string | null;
  readonly forms: Partial<Record<Compression, { readonly key: string } | "making" | "useless">>;
}

/**
 * The compressed forms of static files that have no compressed neighbour: made when a client first asks for one, once
 * per content (by SHA-256), kept within a bound, and found again after a reload. Nobody waits for them: until a form
 * is there the file goes out as it is.
 *
 * One is made at a time and in the thread pool, of which it takes one thread of four: the others stay free for
 * reading files. They are in memory alone, since a worker writes nothing that lasts.
 */
export class CompressedForms {
  readonly #contents = new Map<string, Content>();
  readonly #cache: FileCache<Form>;
  readonly #waiting: { resource: Resource; content: Content; coding: Compression }[] = [];
  #isAtWork = false;

  /** @param memory bytes. */
  constructor(memory = MEMORY) {
    this.#cache = new FileCache(memory);
  }

  /**
   * The form, or undefined where there is none yet; then it will be, unless it is of no use.
   *
   * @param now milliseconds since the epoch.
   */
  find(resource: Resource, coding: Compression, now: number): Representation | undefined {
    const content = this.#contentOf(resource);
    const known = content.forms[coding];
    if (known === "making" || known === "useless") return undefined;
    const form = known === undefined ? undefined : this.#cache.get(known.key);
    if (known === undefined || form === undefined) {
      this.#ask(resource, content, coding);
      return undefined;
    }
    if (Math.abs(now - form.touchedAt) >= TOUCH_INTERVAL) {
      form.touchedAt = now;
      this.#cache.touch(known.key);
    }
    let representation = form.representations.get(resource);
    if (representation === undefined) {
      representation = compressedRepresentation(resource.representations[0], form, resource);
      form.representations.set(resource, representation);
    }
    return representation;
  }

  #contentOf(resource: Resource): Content {
    const { fingerprint } = resource.representations[0];
    let content = this.#contents.get(fingerprint);
    if (content === undefined) {
      content = { digest: null, forms: {} };
      if (this.#contents.size >= MOST_CONTENTS) this.#contents.clear();
      this.#contents.set(fingerprint, content);
    }
    return content;
  }

  #ask(resource: Resource, content: Content, coding: Compression): void {
    if (this.#waiting.length >= MOST_WAITING) return;
    content.forms[coding] = "making";
    this.#waiting.push({ resource, content, coding });
    if (!this.#isAtWork) void this.#work();
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    this.#isAtWork = true;
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      const { resource, content, coding } = job;
      try {
        content.forms[coding] = await this.#make(resource, content, coding);
      } catch {
        // The file has gone or is not to be read any more: the next look at the disk says so, with the reason.
        content.forms[coding] = "useless";
      }
    }
    this.#isAtWork = false;
  }

  async #make(
    resource: Resource,
    content: Content,
    coding: Compression,
  ): Promise<{ readonly key: string } | "useless"> {
    const bytes = await bytesOf(resource);
    if (bytes === undefined) return "useless";
    content.digest ??= await digestOf(bytes);
    const key = `${coding} ${content.digest}`;
    if (this.#cache.get(key) !== undefined) return { key };
    const body = await compress(bytes, coding);
    // A twentieth less is what makes a second form worth a place in the cache.
    if (body.length > bytes.length * 0.95) return "useless";
    const tag = (await digestOf(body)).slice(0, 12);
    const cost = body.length + OVERHEAD;
    this.#cache.set(key, { coding, body, tag, cost, representations: new WeakMap(), touchedAt: 0 });
    // Too large for the whole cache: without this it would be made again for each request.
    return this.#cache.get(key) === undefined ? "useless" : { key };
  }
}

/** The file's bytes, or undefined where they are no longer those of the resource. */
async function bytesOf(resource: Resource): Promise<Buffer | undefined> {
  const [own] = resource.representations;
  if (own.body !== null) return own.body;
  const file = await openContained(own.path, resource.folder);
  try {
    return file.fingerprint === own.fingerprint ? await readWhole(file) : undefined;
  } finally {
    await file.handle.close();
  }
}

/** SHA-256 in hexadecimal; of `subtle`, since that one works in the thread pool. */
async function digestOf(bytes: Buffer): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)).toString("hex");
}

const gzipped = promisify(gzip);
const brotlied = promisify(brotliCompress);
const zstandardized = promisify(zstdCompress);

async function compress(bytes: Buffer, coding: Compression): Promise<Buffer> {
  const isHighest = bytes.length <= LARGEST_FOR_HIGHEST;
  switch (coding) {
    case "gzip":
      return await gzipped(bytes, { level: 9, memLevel: 9 });
    case "br":
      return await brotlied(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: isHighest ? 10 : 6,
          [constants.BROTLI_PARAM_LGWIN]: 22,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      });
    case "zstd":
      return await zstandardized(bytes, {
        pledgedSrcSize: bytes.length,
        params: {
          [constants.ZSTD_c_compressionLevel]: isHighest ? 19 : 9,
          // RFC 9659: a client need not take a window of more than 8 MB.
          [constants.ZSTD_c_windowLog]: 22,
        },
      });
  }
}
