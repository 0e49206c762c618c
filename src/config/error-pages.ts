import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import { checkFolder } from "./files.ts";
import type { Place, ProblemList } from "./problem.ts";

/** Bytes. The texts go to every worker with the configuration, so a picture in one of them should be small. */
const LARGEST = 256 * 1024;
const LARGEST_TOGETHER = 1024 * 1024;

const NAME = /^(4xx|5xx|[45][0-9]{2}|maintenance)\.html$/;

/**
 * The pages of a folder, text by name without its `.html`: `502`, `5xx`, `maintenance`.
 *
 * They are read here, with the configuration, and not by the workers when they are needed: so `check` sees what is
 * wrong with them, a reload brings all of them or none, and a worker that answers 503 because no file descriptor is
 * left needs none for the page.
 */
export function readErrorPages(
  folder: string,
  place: Place,
  problems: ProblemList,
): Readonly<Record<string, string>> {
  const pages: Record<string, string> = {};
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    checkFolder(folder, place, problems);
    return pages;
  }
  let together = 0;
  let seen = 0;
  try {
    for (const file of readdirSync(folder).sort()) {
      // Pictures, drafts and what an editor leaves are nobody's business; a page with another name would never be seen.
      if (!file.endsWith(".html") || file.startsWith(".")) continue;
      seen++;
      const name = NAME.exec(file)?.[1];
      if (name === undefined) {
        problems.add(
          place,
          `${join(folder, file)} has no name of an error page; name it 404.html, 4xx.html, 5xx.html or maintenance.html, or move it elsewhere`,
        );
        continue;
      }
      const text = readPage(join(folder, file), place, problems);
      if (text === undefined) continue;
      together += Buffer.byteLength(text);
      pages[name] = text;
    }
  } catch (error) {
    problems.add(place, `the folder ${folder} cannot be read: ${systemErrorCode(error) ?? "unknown error"}`);
    return pages;
  }
  if (together > LARGEST_TOGETHER)
    problems.add(place, `the pages in ${folder} have ${together} bytes together; 1 MB is the most`);
  else if (seen === 0)
    problems.add(place, `${folder} has no page in it; write 502.html, 5xx.html or maintenance.html`);
  return pages;
}

function readPage(path: string, place: Place, problems: ProblemList): string | undefined {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= LARGEST) return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    problems.add(place, `${path} has ${bytes.length} bytes; 256 KB is the most`);
  } catch (error) {
    const code = systemErrorCode(error);
    const reason =
      code === "ERR_ENCODING_INVALID_ENCODED_DATA"
        ? "is not UTF-8"
        : `cannot be read: ${code ?? "unknown error"}`;
    problems.add(place, `${path} ${reason}`);
  }
  return undefined;
}
