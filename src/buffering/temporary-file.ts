import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { join } from "node:path";

/** A file without a name, so that nothing stays on the disk whatever happens to this process. */
export class TemporaryFile {
  readonly #handle: FileHandle;
  #closed = false;

  /** Rejects with the system's error, such as ENOSPC or EACCES. */
  static async open(folder: string): Promise<TemporaryFile> {
    const path = join(folder, randomUUID());
    const handle = await open(path, "wx+", 0o600);
    try {
      await unlink(path);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new TemporaryFile(handle);
  }

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Writes all of it at an offset in bytes. */
  async write(data: Buffer, position: number): Promise<void> {
    let written = 0;
    while (written < data.length) {
      const { bytesWritten } = await this.#handle.write(
        data,
        written,
        data.length - written,
        position + written,
      );
      written += bytesWritten;
    }
  }

  /** Reads up to `length` bytes at an offset in bytes; fewer only at the end of the file. */
  async read(length: number, position: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let had = 0;
    while (had < length) {
      const { bytesRead } = await this.#handle.read(buffer, had, length - had, position + had);
      if (bytesRead === 0) break;
      had += bytesRead;
    }
    return buffer.subarray(0, had);
  }

  /** Gives its room back. */
  async truncate(): Promise<void> {
    await this.#handle.truncate(0);
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What could fail here has no consequence: the file has no name.
    this.#handle.close().catch(() => undefined);
  }
}
