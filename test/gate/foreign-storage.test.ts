/** A daemon that is not root, and storage that belongs to somebody else. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { accessSync, chmodSync, chownSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { Paddock } from "../parts/paddock.ts";

const NOBODY = 65_534;
const CHECKOUT = resolve(import.meta.dirname, "../..");

function asNobody(
  command: string,
  ...args: string[]
): { code: number | null; stderr: string; stdout: string } {
  const words = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", command, ...args];
  const { status, stderr, stdout } = spawnSync("setpriv", words, { encoding: "utf8", timeout: 60_000 });
  return { code: status, stderr, stdout };
}

test("storage of somebody else ends the start with the name of whose it has to be, and loses nothing", async (t) => {
  if (process.geteuid?.() !== 0) return t.skip("only root becomes somebody else");
  if (asNobody("test", "-r", join(CHECKOUT, "src/main.ts")).code !== 0)
    return t.skip("nobody may not read this checkout");
  const paddock = await Paddock.start({
    workers: 1,
    yaml: () => `sites: [{ names: [app.test], static: { /: "${import.meta.dirname}" } }]`,
  });
  t.after(() => paddock.stop());
  const store = join(paddock.folder, "store");
  const before = readdirSync(store, { recursive: true, encoding: "utf8" }).toSorted();
  const root = readFileSync(paddock.rootPath);
  await paddock.stop({ keepFolder: true });
  chmodSync(paddock.folder, 0o777);
  const start = (): { code: number | null; stderr: string; stdout: string } =>
    asNobody(join(CHECKOUT, "bin/paddock"), "run", "--config", join(paddock.folder, "paddock.yaml"));

  for (const mode of [0o700, 0o755]) {
    chmodSync(store, mode);
    const { code, stderr, stdout } = start();
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^paddock: the storage cannot be used at .*make nobody the owner of .*`chown -R`/);
    assert.doesNotMatch(stdout, /"level":"(?:warn|error)"/, "one sentence, and no others around it");
  }
  accessSync(join(store, "ca/root.pem"));
  assert.deepEqual(
    readdirSync(store, { recursive: true, encoding: "utf8" }).filter((file) => !before.includes(file)),
    [],
    "nothing was left there",
  );

  for (const file of ["", ...readdirSync(store, { recursive: true, encoding: "utf8" })])
    chownSync(join(store, file), NOBODY, NOBODY);
  const theirs = await Paddock.start({
    folder: paddock.folder,
    httpsPort: paddock.httpsPort,
    workers: 1,
    asUser: NOBODY,
    yaml: () => `sites: [{ names: [app.test], static: { /: "${import.meta.dirname}" } }]`,
  });
  t.after(() => theirs.stop());
  assert.match(theirs.output, /found in the storage/);
  assert.equal((await theirs.get("/foreign-storage.test.ts", { host: "app.test", ca: root })).status, 200);
});
