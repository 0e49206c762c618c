/** A disk of half a megabyte, which a test may fill and make read-only. */
import { execFileSync } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../../src/errors.ts";

export interface SmallDisk extends Disposable {
  /** To the last byte. */
  fill(): Promise<void>;
  empty(): Promise<void>;
  remount(how: "ro" | "rw"): void;
}

/** Mounts one on an existing folder; null where that is not allowed. */
export function mountSmallDisk(folder: string): SmallDisk | null {
  if (process.geteuid?.() !== 0) return null;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", folder], { stdio: "pipe" });
  } catch {
    return null;
  }
  const ballast = join(folder, "ballast");
  return {
    async fill() {
      try {
        await writeFile(ballast, Buffer.alloc(1024 * 1024));
      } catch (error) {
        if (systemErrorCode(error) !== "ENOSPC") throw error;
      }
    },
    empty: async () => await rm(ballast),
    remount: (how) => void execFileSync("mount", ["-o", `remount,${how}`, folder]),
    [Symbol.dispose]: () => void execFileSync("umount", ["-l", folder]),
  };
}
