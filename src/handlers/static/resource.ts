import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { systemErrorCode } from "../../errors.ts";
import { fingerprintOf, FileRefusal, openContained, refusalOf, type OpenFile } from "./contained-file.ts";
import { CODINGS, codingWeights } from "./content-coding.ts";
import { isCompressible } from "./compressible-types.ts";
import { contentTypeOf } from "./content-types.ts";
import { makeRepresentation, type Representation } from "./representation.ts";

/** A file and the compressed files next to it, as they were when they were last looked at. */
export interface Resource {
  readonly folder: string;
  readonly path: string;
  readonly immutable: boolean;
  readonly varies: boolean;
  readonly contentType: string;
  /** Compressed forms may be made of it in memory. */
  readonly compressible: boolean;
  /** The file itself first. */
  readonly representations: readonly [Representation, ...Representation[]];
  /** Equal signatures mean that nothing has changed on disk. */
  readonly signature: string;
  /** Bytes of memory, nearly. */
  readonly cost: number;
  /** Milliseconds since the epoch when the disk was last asked. */
  checkedAt: number;
}

export interface ResourceSource {
  /** Absolute path of the static folder. */
  readonly folder: string;
  /** Absolute path of the file. */
  readonly path: string;
  readonly immutable: boolean;
  /** Files up to this many bytes are kept in memory. */
  readonly largestInMemory: number;
  /** Whether compressed forms may be made where no neighbour has them. */
  readonly compress: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Bytes of the files that are compressed in memory: less gains nothing, more would fill the cache with one file. */
const SMALLEST_TO_COMPRESS = 1024;
const LARGEST_TO_COMPRESS = 16 * 1024 * 1024;

/** Heads, maps and strings of one representation. */
const OVERHEAD = 2048;

/** A file that changes this often between two looks is being written to without end. */
const ATTEMPTS = 4;

/**
 * File systems stamp times with the kernel's tick (4 ms on most machines), so a file that was written to just now
 * may be written to again and keep its time. Such a file is read anew at the next check, as git does it.
 */
const RACY_NANOSECONDS = 50_000_000n;

/** The state of a file and of its neighbours on disk. @throws {FileRefusal} where there is no such file */
export async function signatureOf(path: string, immutable: boolean): Promise<string> {
  const own = await fingerprintAt(path);
  // First, so that a request for what is not there costs one look and not four.
  if (own === "") throw new FileRefusal(404);
  const neighbours = await Promise.all(CODINGS.map(({ extension }) => fingerprintAt(path + extension)));
  return [immutable, own, ...neighbours].join(" ");
}

/** Empty where there is no such file. */
async function fingerprintAt(path: string): Promise<string> {
  try {
    const stats = await stat(path, { bigint: true });
    return stats.isFile() ? fingerprintOf(stats) : "";
  } catch (error) {
    const refusal = refusalOf(error, path);
    if (refusal.status === 404) return "";
    throw refusal;
  }
}

/** Reads a file and its neighbours. @throws {FileRefusal} */
export async function readResource(source: ResourceSource): Promise<Resource> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const signature = await signatureOf(source.path, source.immutable);
    const resource = await readOnce(source, signature);
    if (resource !== undefined) return resource;
  }
  throw new FileRefusal(
    503,
    `${source.path} is being written to all the time; replace it by renaming a finished file`,
  );
}

/** Undefined where the disk changed while it was read. */
async function readOnce(source: ResourceSource, signature: string): Promise<Resource | undefined> {
  const { folder, path, immutable, now, largestInMemory } = source;
  const [, ...fingerprints] = signature.split(" ");
  const contentType = contentTypeOf(basename(path));
  let compressible = source.compress && isCompressible(contentType);
  let varies = fingerprints.slice(1).some((fingerprint) => fingerprint !== "");
  const representations: Representation[] = [];
  let isRacy = false;
  const forms = [{ coding: "identity", extension: "" } as const, ...CODINGS];
  for (const [index, { coding, extension }] of forms.entries()) {
    if (fingerprints[index] === "") continue;
    const formPath = path + extension;
    let file: OpenFile;
    try {
      file = await openContained(formPath, folder);
    } catch (error) {
      // A neighbour that may not be served (a symlink that leaves the folder) does not take the file with it.
      if (coding !== "identity") continue;
      throw error;
    }
    try {
      // Replaced since the look: what is open is whole and newer, so it is taken, and remembered as what it is.
      fingerprints[index] = file.fingerprint;
      if (coding === "identity") {
        compressible &&= file.size >= SMALLEST_TO_COMPRESS && file.size <= LARGEST_TO_COMPRESS;
        varies ||= compressible;
      }
      const body = file.size <= largestInMemory ? await readWhole(file) : null;
      if (body === undefined) return undefined;
      isRacy ||= BigInt(Date.now()) * 1_000_000n - file.ctimeNs < RACY_NANOSECONDS;
      representations.push(
        makeRepresentation(file, { coding, path: formPath, contentType, immutable, varies, body, now }),
      );
    } finally {
      await file.handle.close();
    }
  }
  const [own, ...others] = representations;
  if (own === undefined) return undefined;
  return {
    folder,
    path,
    immutable,
    varies,
    contentType,
    // What may still change under an unchanged fingerprint is not remembered by it either.
    compressible: compressible && !isRacy,
    representations: [own, ...others],
    signature: isRacy ? "racy" : [immutable, ...fingerprints].join(" "),
    cost: representations.reduce((sum, { body }) => sum + OVERHEAD + (body?.length ?? 0), 0),
    checkedAt: now,
  };
}

/** Undefined where the file changed while it was read. @throws {FileRefusal} */
export async function readWhole(file: OpenFile): Promise<Buffer | undefined> {
  const body = Buffer.allocUnsafeSlow(file.size);
  let length = 0;
  try {
    while (length < file.size) {
      const { bytesRead } = await file.handle.read(body, length, file.size - length, length);
      if (bytesRead === 0) return undefined;
      length += bytesRead;
    }
    // Not the fingerprint: a file that is replaced by rename meanwhile keeps its content and loses a link.
    const after = await file.handle.stat({ bigint: true });
    return after.mtimeNs === file.mtimeNs && Number(after.size) === file.size ? body : undefined;
  } catch (error) {
    throw new FileRefusal(500, `a static file cannot be read: ${systemErrorCode(error) ?? String(error)}`);
  }
}

/**
 * The form for a client: the highest weight wins, among equals the smallest, and the file itself only where no
 * other is wanted more. Undefined where the client accepts none of them.
 */
export function chooseRepresentation(
  representations: Resource["representations"],
  acceptEncoding: string | undefined,
): Representation | undefined {
  const weights = codingWeights(acceptEncoding);
  let best: Representation | undefined;
  let bestWeight = 0;
  for (const representation of representations) {
    const weight = weights[representation.coding];
    if (weight === 0 || weight < bestWeight) continue;
    if (weight === bestWeight && best !== undefined && representation.size >= best.size) continue;
    best = representation;
    bestWeight = weight;
  }
  return best;
}
