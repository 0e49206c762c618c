import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { messageOf, PaddockError, systemErrorCode } from "../errors.ts";

const TEMPORARY = /^\..+\.tmp$/;

/** The storage itself: 0700 where it is made; one that is there keeps its mode, which is the operator's business. */
export async function makeStorage(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw storageError(path, cause);
  }
}

/** A folder inside of it, which only its owner may enter. */
export async function makePrivateFolder(path: string): Promise<void> {
  await makeStorage(path);
  try {
    await chmod(path, 0o700);
  } catch (cause) {
    throw storageError(path, cause);
  }
}

/**
 * Replaces a file as a whole: readers see the old content or the new one, also after a power cut.
 *
 * The file has `mode` from its first byte; the folder MUST exist.
 */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  let file: FileHandle | null = null;
  try {
    file = await open(temporary, "wx", mode);
    await file.writeFile(content);
    await file.sync();
    await file.close();
    file = null;
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await file?.close().catch(() => {});
    await rm(temporary, { force: true }).catch(() => {});
    throw storageError(path, cause);
  }
}

/** Removes a file for good; one that is not there is no error. */
export async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path);
    await syncFolder(dirname(path));
  } catch (cause) {
    if (systemErrorCode(cause) !== "ENOENT") throw storageError(path, cause);
  }
}

/** A rename lasts only once its folder is synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Null where there is no such file. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return null;
    throw storageError(path, cause);
  }
}

/** As readIfThere, at once: for ten thousand small files the four trips to the thread pool cost more than the reading. */
export function readNow(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return null;
    throw storageError(path, cause);
  }
}

/** Names in a folder; what a process that was killed half-way left behind is removed first. */
export async function listFolder(path: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(path);
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") return [];
    throw storageError(path, cause);
  }
  const left = names.filter((name) => TEMPORARY.test(name));
  await Promise.all(left.map((name) => rm(join(path, name), { force: true })));
  return names.filter((name) => !TEMPORARY.test(name));
}

export function storageError(path: string, cause: unknown): PaddockError {
  return new PaddockError("storage.failed", `the storage cannot be used at ${path}: ${messageOf(cause)}`, {
    fix: "Check that Paddock's user owns the storage folder and that the disk is not full.",
    cause,
  });
}
