import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { messageOf, PaddockError, systemErrorCode } from "../errors.ts";

const TEMPORARY = /^\..+\.tmp$/;

/** The storage itself: 0700 where it is made; one that is there keeps its mode, which is the operator's business. */
export async function makeStorage(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first !== undefined) await syncParents(path, first);
  } catch (cause) {
    throw storageError(path, cause);
  }
}

/** A folder lasts, with what is in it, once the one above it is synced. `first` is the topmost that was made. */
async function syncParents(path: string, first: string): Promise<void> {
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** A folder inside of it, which only its owner may enter. */
export async function makePrivateFolder(path: string): Promise<void> {
  await makeStorage(path);
  try {
    // Not where it is right already: a read-only disk would refuse that too.
    if (((await stat(path)).mode & 0o777) !== 0o700) await chmod(path, 0o700);
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
  // On a disk that takes nothing they stay, and are passed over.
  await Promise.all(left.map((name) => rm(join(path, name), { force: true }).catch(() => {})));
  return names.filter((name) => !TEMPORARY.test(name));
}

export function storageError(path: string, cause: unknown): PaddockError {
  return new PaddockError("storage.failed", `the storage cannot be used at ${path}: ${messageOf(cause)}`, {
    fix: fixOf(path, systemErrorCode(cause) ?? ""),
    cause,
  });
}

function fixOf(path: string, code: string): string {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return `The disk is full, or the quota used up: \`df -h ${path}\` and \`df -i ${path}\` show it. Make room.`;
    case "EROFS":
      return `The disk is mounted read-only; \`findmnt -T ${path}\` and \`dmesg\` show why. Mount it read-write.`;
    case "EACCES":
    case "EPERM":
      return `Paddock runs as ${ownName()} and may not use it: make ${ownName()} the owner of the storage folder and of all that is in it (\`chown -R\`).`;
    default:
      return "Check that Paddock's user owns the storage folder and that the disk is not full.";
  }
}

function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run under a number that has no name.
    return `user ${process.geteuid?.() ?? "unknown"}`;
  }
}
