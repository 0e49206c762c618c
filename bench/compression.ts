/**
 * Size and processor time of each coding's levels: for a page of Django's admin as an app answers it, and for the
 * admin's own static files. docs/compression.md has the numbers that the levels in src/handlers were chosen by.
 *
 *   node bench/compression.ts
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip, zstdCompress } from "node:zlib";

const PYTHON = "/usr/bin/python3";
const gzipped = promisify(gzip);
const brotlied = promisify(brotliCompress);
const zstandardized = promisify(zstdCompress);

type Compress = (bytes: Buffer) => Promise<Buffer>;

function compressors(coding: "gzip" | "br" | "zstd", level: number): Compress {
  switch (coding) {
    case "gzip":
      return (bytes) => gzipped(bytes, { level });
    case "br":
      return (bytes) =>
        brotlied(bytes, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: level,
            [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
            [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
          },
        });
    case "zstd":
      return (bytes) =>
        zstandardized(bytes, {
          pledgedSrcSize: bytes.length,
          params: { [constants.ZSTD_c_compressionLevel]: level },
        });
  }
}

/** Microseconds of processor time, of all threads, for one round over `inputs`: the best of `turns`, which neighbours disturb least. */
async function cost(
  inputs: readonly Buffer[],
  compress: Compress,
  rounds: number,
  turns: number,
): Promise<[number, number]> {
  let best = Infinity;
  let size = 0;
  for (let turn = 0; turn < turns; turn++) {
    const before = process.cpuUsage();
    for (let round = 0; round < rounds; round++) {
      size = 0;
      for (const input of inputs) size += (await compress(input)).length;
    }
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / rounds);
  }
  return [size, best];
}

async function table(
  title: string,
  inputs: readonly Buffer[],
  levels: Readonly<Record<"gzip" | "br" | "zstd", readonly number[]>>,
  rounds: number,
  turns: number,
): Promise<void> {
  const total = inputs.reduce((sum, input) => sum + input.length, 0);
  console.log(`\n${title}: ${inputs.length} of ${total} bytes\n\n| | bytes | ratio | CPU microseconds |`);
  console.log("| --- | --: | --: | --: |");
  for (const coding of ["gzip", "br", "zstd"] as const)
    for (const level of levels[coding]) {
      const [size, microseconds] = await cost(inputs, compressors(coding, level), rounds, turns);
      const ratio = (total / size).toFixed(2);
      console.log(`| ${coding} ${level} | ${size} | ${ratio} | ${Math.round(microseconds)} |`);
    }
}

const page = execFileSync(PYTHON, [join(import.meta.dirname, "admin-page.py")], { maxBuffer: 1e7 });
await table("Page", [page], { gzip: [1, 4, 6, 9], br: [1, 2, 3, 4, 5, 6], zstd: [1, 2, 3, 5, 7, 9] }, 20, 40);
const python = "import django, os; print(os.path.dirname(django.__file__))";
const admin = join(execFileSync(PYTHON, ["-c", python]).toString().trim(), "contrib/admin/static/admin");
const files = readdirSync(admin, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(?:css|js|svg)$/.test(name))
  .map((name) => readFileSync(join(admin, name)))
  .filter((bytes) => bytes.length >= 1024);
const levels = { gzip: [6, 9], br: [5, 6, 9, 10, 11], zstd: [3, 9, 12, 19] };
await table("Static files", files, levels, 1, 3);
await table("The same as one bundle", [Buffer.concat(files)], levels, 1, 3);
