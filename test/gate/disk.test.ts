/** A daemon whose storage takes nothing: it serves what it has, starts with it, and says what to do. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Paddock } from "../parts/paddock.ts";
import { mountSmallDisk } from "../parts/small-disk.ts";

const yaml = (): string => `sites:
  - names: [app.test]
    static: { /: ${import.meta.dirname} }
`;

void describe("a daemon on a disk that takes nothing", () => {
  for (const kind of ["full", "read-only"] as const) {
    void it(`because it is ${kind} starts, serves, loses a worker and says what to do`, async (test) => {
      const folder = await mkdtemp(join(tmpdir(), "paddock-disk-"));
      const store = join(folder, "store");
      await mkdir(store);
      const disk = mountSmallDisk(store);
      if (disk === null) {
        await rm(folder, { recursive: true });
        return test.skip("no disk may be mounted here");
      }
      try {
        const first = await Paddock.start({ folder, yaml, workers: 1 });
        const root = await readFile(first.rootPath);
        await first.stop({ keepFolder: true });
        if (kind === "full") await disk.fill();
        else disk.remount("ro");
        const paddock = await Paddock.start({ folder, yaml, workers: 1 });
        try {
          const served = async (): Promise<number> =>
            (await paddock.get("/disk.test.ts", { host: "app.test", ca: root })).status;
          assert.equal(await served(), 200);
          const { code, stderr } = await paddock.command("maintenance", "on", "app.test");
          assert.equal(code, 1);
          assert.match(
            stderr,
            kind === "full" ? /disk is full.*Make room/i : /mounted read-only.*read-write/,
          );
          assert.equal(await served(), 200, "no site is closed by an order that was not kept");
          const workers = async (): Promise<number[]> => {
            const status = JSON.parse((await paddock.command("status", "--json")).stdout) as {
              workers: { pid: number }[];
            };
            return status.workers.map(({ pid }) => pid);
          };
          const [worker = 0] = await workers();
          process.kill(worker, "SIGKILL");
          await paddock.until("another worker", async () => {
            const now = await workers();
            return now.length === 1 && !now.includes(worker);
          });
          assert.equal(await served(), 200);

          if (kind === "read-only")
            assert.match(paddock.output, /the storage takes no bodies .* buffered in/);
        } finally {
          await paddock.stop({ keepFolder: true });
        }
      } finally {
        disk[Symbol.dispose]();
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});
