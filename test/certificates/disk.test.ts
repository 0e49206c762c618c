/** Disks that are full or read-only: the certificates are served and renewed, and stored when the disk is well again. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import { makePrivateFolder } from "../../src/certificates/durable-file.ts";
import { mountSmallDisk, type SmallDisk } from "../parts/small-disk.ts";
import { DAY, MINUTE, setup, temporaryFolder, type Setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

/** Runs with the storage on a small disk of its own; skips where none may be mounted. */
async function onSmallDisk(
  test: TestContext,
  run: (on: Setup, disk: SmallDisk) => Promise<void>,
): Promise<void> {
  await using on = await setup(new HeldClock());
  using disk = mountSmallDisk(on.storage);
  if (disk === null) return test.skip("no disk may be mounted here");
  try {
    await run(on, disk);
  } finally {
    await on.close();
  }
}

const want = (on: Setup) => ({
  names: ["example.org"],
  choice: { kind: "auto" } as const,
  issuers: [on.issuer],
});
const local = { names: ["app.test"], choice: { kind: "auto" } as const, issuers: [] };

const go = (manager: CertificateManager, clock: HeldClock, delay: number): Promise<void> =>
  clock.advance(delay, () => manager.settled());

const said = (on: Setup, pattern: RegExp): number =>
  on.log.lines.filter(({ msg }) => pattern.test(String(msg))).length;

const printOf = (manager: CertificateManager, name: string): string | undefined =>
  manager.served().find(({ names }) => names.includes(name))?.fingerprint;

void describe("a storage that takes nothing", () => {
  for (const kind of ["full", "read-only"] as const) {
    void it(`because the disk is ${kind} keeps nobody from renewing, and gets the certificates when it is well`, async (test) => {
      await onSmallDisk(test, async (on, disk) => {
        const manager = await on.open();
        await manager.configure([want(on), local]);
        await go(manager, on.clock, 0);
        await manager.journals.written();
        const before = [printOf(manager, "example.org"), printOf(manager, "app.test")];
        if (kind === "full") await disk.fill();
        else disk.remount("ro");
        await go(manager, on.clock, 4 * DAY);
        const renewed = [printOf(manager, "example.org"), printOf(manager, "app.test")];
        assert.notEqual(renewed[0], before[0]);
        assert.notEqual(renewed[1], before[1]);
        assert.deepEqual(
          manager.status().map(({ state }) => state),
          ["valid", "valid"],
        );
        assert.equal(
          said(on, /the new certificate for example\.org is not stored: .*It is used all the same/),
          1,
        );
        assert.match(
          on.log.text(),
          kind === "full" ? /The disk is full.*Make room/ : /mounted read-only.*Mount it read-write/,
        );
        if (kind === "full") await disk.empty();
        else disk.remount("rw");
        await go(manager, on.clock, 6 * MINUTE);
        await manager.close();
        assert.equal(said(on, /the new certificate for example\.org is stored now/), 1);
        const again = await on.open();
        await again.configure([want(on), local]);
        assert.deepEqual(
          [printOf(again, "example.org"), printOf(again, "app.test")],
          renewed,
          "after a restart",
        );
        const left = await readdir(on.storage, { recursive: true });
        assert.deepEqual(
          left.filter((file) => file.endsWith(".tmp")),
          [],
        );
      });
    });

    void it(`because the disk is ${kind} is no reason not to start with what it holds`, async (test) => {
      await onSmallDisk(test, async (on, disk) => {
        const first = await on.open();
        await first.configure([want(on), local]);
        await go(first, on.clock, 0);
        await first.close();
        const held = [printOf(first, "example.org"), printOf(first, "app.test")];
        const folder = join(on.storage, "certificates", "first");
        await writeFile(join(folder, ".left.json.0011.tmp"), "half");
        await writeFile(join(folder, "other.json"), "{");
        if (kind === "full") await disk.fill();
        else disk.remount("ro");
        const again = await on.open();
        await again.configure([want(on), local, { ...want(on), names: ["new.example.org"] }]);
        assert.deepEqual([printOf(again, "example.org"), printOf(again, "app.test")], held);
        assert.notEqual(
          printOf(again, "new.example.org"),
          undefined,
          "a temporary one, below an intermediate in memory",
        );
        await go(again, on.clock, MINUTE);
        assert.equal(again.status().at(-1)?.serving, "stored");
        if (kind === "read-only")
          assert.match(on.log.text(), /other\.json is damaged .* could not be moved away/);
      });
    });
  }
});

void describe("a storage of somebody else", () => {
  void it("is refused with the sentence that mends it", async (test) => {
    if (process.geteuid?.() !== 0) return test.skip("another user's folder takes root");
    await using folder = await temporaryFolder();
    await makePrivateFolder(join(folder.path, "store"));
    const program = `
      import { makePrivateFolder } from ${JSON.stringify(import.meta.resolve("../../src/certificates/durable-file.ts"))};
      process.setgid(65534); process.setuid(65534);
      try { await makePrivateFolder(process.argv[1]); console.log("taken"); }
      catch (error) { console.log(error.code, error.message, error.fix); }`;
    execFileSync("chmod", ["0755", folder.path]);
    const told = execFileSync(
      process.execPath,
      ["--input-type=module", "-e", program, join(folder.path, "store", "ca")],
      { encoding: "utf8" },
    );
    assert.match(
      told,
      /^storage\.failed .*EACCES.* Paddock runs as nobody and may not use it: make nobody the owner/,
    );
  });
});
