import { constants } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import { sep } from "node:path";
import { systemErrorCode } from "../../errors.ts";

/** Why a file is not served: the client's status, and the sentence for the log where an operator can act. */
export class FileRefusal {
  readonly status: 403 | 404 | 500 | 503;
  readonly logReason: string | undefined;

  constructor(status: 403 | 404 | 500 | 503, logReason?: string) {
    this.status = status;
    this.logReason = logReason;
  }
}

/** The open file, and its device, inode, size and times as one text: equal texts mean equal contents. */
export interface OpenFile {
  /** The caller MUST close it. */
  readonly handle: FileHandle;
  readonly fingerprint: string;
  /** Bytes. */
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** What `fs.stat` with `bigint` gives. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function fingerprintOf({ dev, ino, size, mtimeNs, ctimeNs }: FileIdentity): string {
  return `${dev}-${ino}-${size}-${mtimeNs}-${ctimeNs}`;
}

/** A FIFO would block a thread of the pool until somebody writes to it: O_NONBLOCK, and fstat turns it away. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Opens a regular file below a folder; symlinks may lead anywhere inside the folder and nowhere else.
 *
 * Node's permission model does not help with that: it compares paths as text and follows symlinks out of what it
 * allows. So the real path is looked up and compared here, and opened with O_NOFOLLOW, so that the last segment
 * cannot become a symlink in between.
 *
 * @throws {FileRefusal}
 */
export async function openContained(path: string, folder: string): Promise<OpenFile> {
  let handle: FileHandle | undefined;
  try {
    const real = await realpath(path);
    // At every opening and not once: a deployment may switch the folder itself to another release.
    const realFolder = await realpath(folder);
    if (!real.startsWith(realFolder.endsWith(sep) ? realFolder : realFolder + sep))
      throw new FileRefusal(404, `${path} is a symlink that leaves ${folder}; copy the file into the folder`);
    handle = await openReal(real, path);
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) throw new FileRefusal(404);
    return {
      handle,
      fingerprint: fingerprintOf(stats),
      size: Number(stats.size),
      mtimeNs: stats.mtimeNs,
      ctimeNs: stats.ctimeNs,
    };
  } catch (error) {
    await handle?.close();
    throw refusalOf(error, path);
  }
}

async function openReal(real: string, path: string): Promise<FileHandle> {
  try {
    return await open(real, OPEN_FLAGS | constants.O_NOFOLLOW);
  } catch (error) {
    if (systemErrorCode(error) !== "ERR_ACCESS_DENIED" || real === path) throw error;
  }
  // The folder is a symlink itself (`current`, in many a deployment): then the worker may read it by that name
  // only. Looked up again after opening, so that a symlink put in between is noticed.
  const handle = await open(path, OPEN_FLAGS);
  if ((await realpath(path)) === real) return handle;
  await handle.close();
  throw new FileRefusal(404, `${path} was replaced while it was opened`);
}

/** One ordered place where the disk's failures become statuses. */
export function refusalOf(error: unknown, path: string): FileRefusal {
  if (error instanceof FileRefusal) return error;
  const code = systemErrorCode(error);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
    case "ELOOP":
    case "ENAMETOOLONG":
    case "EISDIR":
    case "ENXIO":
    case "ERR_INVALID_ARG_VALUE":
      return new FileRefusal(404);
    case "EACCES":
    case "EPERM":
      return new FileRefusal(
        403,
        `${path} may not be read by uid ${process.getuid?.() ?? "?"}; give it r on the file and x on every folder above (see: namei -l ${path})`,
      );
    case "ERR_ACCESS_DENIED":
      return new FileRefusal(
        403,
        `${path} is not among the folders that this worker was started with; reload Paddock`,
      );
    case "EMFILE":
    case "ENFILE":
      return new FileRefusal(503, `no file descriptor is left to open ${path} (${code}); raise LimitNOFILE`);
    default:
      return new FileRefusal(500, `${path} cannot be read: ${code ?? String(error)}`);
  }
}
