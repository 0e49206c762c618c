import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** Django hashes with the first twelve hex digits of an MD5: `css/base.27e20196a850.css`. */
const HASHED = /\.[0-9a-f]{12}(\.[^./]+)*$/;

/** How often staticfiles.json is looked at, in milliseconds. */
const CHECK_INTERVAL = 1000;

/** A manifest larger than this is none; Django's own admin has 4 KB of it. */
const LARGEST_MANIFEST = 16 * 1024 * 1024;

/**
 * The names in a folder whose content never changes, because Django's ManifestStaticFilesStorage put a hash of
 * it into the name. `staticfiles.json` says which they are; where there is none, the form of a name decides.
 */
export class HashedNames {
  readonly #manifest: string;
  #names: ReadonlySet<string> | undefined;
  #version = "";
  #checkedAt = Number.NEGATIVE_INFINITY;
  #refreshed = Promise.resolve();

  /** @param folder absolute path of the static folder. */
  constructor(folder: string) {
    this.#manifest = join(folder, "staticfiles.json");
  }

  /**
   * Whether the file may be cached for good.
   *
   * @param path below the folder, with slashes.
   * @param now milliseconds since the epoch.
   */
  async has(path: string, now: number): Promise<boolean> {
    if (Math.abs(now - this.#checkedAt) >= CHECK_INTERVAL) {
      this.#checkedAt = now;
      this.#refreshed = this.#refresh();
    }
    await this.#refreshed;
    return this.#names === undefined ? HASHED.test(path) : this.#names.has(path);
  }

  async #refresh(): Promise<void> {
    try {
      const { mtimeNs, size } = await stat(this.#manifest, { bigint: true });
      const version = `${mtimeNs}-${size}`;
      if (version === this.#version) return;
      if (size > LARGEST_MANIFEST) throw new RangeError("manifest too large");
      const manifest: unknown = JSON.parse(await readFile(this.#manifest, "utf8"));
      const paths = (manifest as { paths?: unknown } | null)?.paths;
      if (typeof paths !== "object" || paths === null) throw new TypeError("manifest without paths");
      this.#names = new Set(Object.values(paths).filter((name) => typeof name === "string"));
      this.#version = version;
    } catch {
      // None there, or collectstatic is writing it this moment: the form of the name is right nearly always, and
      // a later look will find the manifest whole.
      this.#names = undefined;
      this.#version = "";
    }
  }
}
