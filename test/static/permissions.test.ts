import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { StaticFolder } from "./static-folder.ts";

const run = promisify(execFile);
const source = join(import.meta.dirname, "../../src");

/** A program that looks up paths and prints what came, one line each. */
const PROGRAM = `
import { createStaticFiles } from ${JSON.stringify(join(source, "handlers/static/static-files.ts"))};
const [folder, uid, ...paths] = process.argv.slice(2);
if (uid !== "") process.setuid(Number(uid));
const files = createStaticFiles([{ prefix: "/static/", folder }]);
for (const path of paths) {
  const result = await files.lookup(path, "GET", {});
  let body = result.kind === "memory" ? result.body.toString() : "";
  if (result.kind === "file") {
    const buffer = Buffer.alloc(result.length);
    await result.handle.read(buffer, 0, result.length, result.start);
    await result.handle.close();
    body = String(buffer.length);
  }
  console.log(JSON.stringify([result.kind, result.status, body, result.logReason ?? ""]));
}
`;

async function lookUp(
  base: string,
  flags: string[],
  args: string[],
): Promise<[string, number, string, string][]> {
  const program = join(base, "program.mjs");
  writeFileSync(program, PROGRAM);
  const { stdout } = await run(process.execPath, [...flags, program, ...args]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

void test("works in a worker that may read the static folder and nothing else", async (t) => {
  const folder = new StaticFolder();
  t.after(() => folder.remove());
  folder.write("a.css", "body {}");
  folder.write("a.css.gz", "gz");
  folder.write("big.bin", Buffer.alloc(100_000));
  folder.write("staticfiles.json", "{}");
  mkdirSync(join(folder.base, "elsewhere"));
  writeFileSync(join(folder.base, "elsewhere/key.pem"), "secret");
  symlinkSync("../elsewhere/key.pem", join(folder.folder, "key.pem"));
  symlinkSync("a.css", join(folder.folder, "link.css"));
  // The folder by the name of a symlink: the permission is for that name, and not for what it stands for.
  const current = join(folder.base, "current");
  symlinkSync(folder.folder, current);

  for (const allowed of [folder.folder, current]) {
    const flags = [
      "--permission",
      "--allow-net",
      `--allow-fs-read=${allowed}`,
      `--allow-fs-read=${source}`,
      `--allow-fs-read=${join(folder.base, "program.mjs")}`,
      `--allow-fs-read=${join(source, "../package.json")}`,
    ];
    const paths = ["a.css", "link.css", "big.bin", "key.pem", "none.css"].map((name) => `/static/${name}`);
    const results = await lookUp(folder.base, flags, [allowed, "", ...paths]);
    assert.deepEqual(
      results.map(([kind, status, body]) => [kind, status, body]),
      [
        ["memory", 200, "body {}"],
        ["memory", 200, "body {}"],
        ["file", 200, "100000"],
        ["none", 404, ""],
        ["none", 404, ""],
      ],
      allowed,
    );
  }
});

void test("a file that may not be read is 403, and the log says what to do", {
  skip: process.getuid?.() !== 0 && "needs root to become somebody else",
}, async (t) => {
  const folder = new StaticFolder();
  t.after(() => folder.remove());
  chmodSync(folder.base, 0o755);
  chmodSync(folder.write("a.txt", "x"), 0o600);
  const [result] = await lookUp(folder.base, [], [folder.folder, "65534", "/static/a.txt"]);
  assert.ok(result);
  assert.deepEqual(result.slice(0, 2), ["none", 403]);
  assert.match(result[3], new RegExp(`^${folder.folder}/a\\.txt may not be read by uid 65534; give it r`));
});
