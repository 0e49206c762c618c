import { readFileSync } from "node:fs";

/** Paddock's own version, from the package. */
export const VERSION = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;
