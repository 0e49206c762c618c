import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";

/**
 * A folder for the bodies that a worker cannot hold in memory: in the storage, whose disk the operator chose; in the
 * system's temporary folder where the storage takes nothing, since a full or read-only disk must not end the serving.
 * Null where that takes nothing either: bodies that need a file are refused then.
 */
export function makeBufferFolder(storage: string, log: Logger): string | null {
  try {
    const folder = join(realpathSync(storage), "buffers", randomUUID());
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return folder;
  } catch (error) {
    const folder = makeElsewhere();
    const where = folder === null ? "long bodies are refused" : `they are buffered in ${folder}`;
    log.warn({ err: error }, `the storage takes no bodies (${messageOf(error)}): ${where} until it does`);
    return folder;
  }
}

/** Never throws: on a disk that became read-only it stays, empty, as what is in it has no name. */
export function removeBufferFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    return;
  }
}

function makeElsewhere(): string | null {
  try {
    return realpathSync(mkdtempSync(join(tmpdir(), "paddock-buffers-")));
  } catch {
    return null;
  }
}
