import { realpathSync } from "node:fs";
import type { Configuration } from "../config/configuration.ts";

/** What a worker may read: the folders of files, with what symbolic links make of them. */
export function readableFolders(configuration: Configuration): string[] {
  const folders = new Set<string>();
  for (const { folder } of configuration.sites.flatMap((site) => [...site.static, ...site.internal])) {
    folders.add(folder.replace(/(?<=.)\/$/, ""));
    try {
      folders.add(realpathSync(folder));
    } catch {
      // It is not there yet; the configuration's check says so, and requests get 404 until it is.
    }
  }
  return [...folders];
}
