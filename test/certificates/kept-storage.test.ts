/** Which storage lasts: by what is there, and by where it is mounted. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { storageDoubt } from "../../src/certificates/guard/kept-storage.ts";
import { mountOf, whyNotKept } from "../../src/certificates/guard/mounts.ts";
import { temporaryFolder } from "./fixtures.ts";

const VOLUME = "/var/lib/docker/volumes";
const UNNAMED = "3f".repeat(32);

/** Lines as a kernel writes them: optional fields before the hyphen, and the path's blanks in octal. */
const mounts = (...storage: string[]): string =>
  [
    "600 500 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c",
    "601 600 0:51 / /proc rw,nosuid - proc proc rw",
    "602 600 0:52 / /var/libation rw - tmpfs tmpfs rw",
    ...storage,
    "",
  ].join("\n");

void describe("the mount that a folder is on", () => {
  void it("is the deepest one above it, and the last of several", () => {
    const text = mounts(
      "603 600 8:1 /one /var/lib/pad\\040dock rw - ext4 /dev/sda1 rw",
      "604 600 8:1 /two /var/lib/pad\\040dock rw shared:3 master:4 - xfs /dev/sda1 rw",
    );
    assert.deepEqual(mountOf("/var/lib/pad dock/inside", text), {
      root: "/two",
      point: "/var/lib/pad dock",
      type: "xfs",
    });
    assert.equal(mountOf("/var/lib", text)?.type, "overlay");
    assert.equal(mountOf("/", text)?.type, "overlay");
    assert.equal(mountOf("/var/lib", ""), null);
  });
});

void describe("a storage", () => {
  for (const [what, line, kept, elsewhere] of [
    ["in the container's own layer", null, /goes with the container/, null],
    ["on a named volume", `${VOLUME}/paddock/_data /store - ext4`, null, null],
    ["on a bind mount", "/srv/paddock /store - ext4", null, null],
    ["on a volume without a name", `${VOLUME}/${UNNAMED}/_data /store - ext4`, /volume without a name/, null],
    [
      "on Podman's, of a user",
      `/home/u/.local/share/containers/storage/volumes/${UNNAMED}/_data /store - btrfs`,
      /volume without a name/,
      null,
    ],
    [
      "on a Kubernetes emptyDir",
      "/var/lib/kubelet/pods/uid/volumes/kubernetes.io~empty-dir/store /store - ext4",
      /emptyDir/,
      /emptyDir/,
    ],
    [
      "on a Kubernetes volume",
      "/var/lib/kubelet/pods/uid/volumes/kubernetes.io~csi/pvc/mount /store - ext4",
      null,
      null,
    ],
    ["in memory", "/ /store - tmpfs", /in memory/, /in memory/],
  ] as const)
    void it(`${what} ${kept === null ? "lasts" : "does not last"}`, () => {
      const [place = "", type = ""] = (line ?? "").split(" - ");
      const mount = mountOf(
        "/store",
        mounts(...(line === null ? [] : [`603 600 8:1 ${place} rw - ${type} none rw`])),
      );
      assert.ok(mount);
      for (const [inContainer, expected] of [
        [true, kept],
        [false, elsewhere],
      ] as const) {
        const why = whyNotKept(mount, inContainer);
        if (expected === null) assert.equal(why, null);
        else assert.match(why ?? "", expected);
      }
    });

  void it("that has what an earlier start wrote is not asked where it is", async () => {
    await using folder = await temporaryFolder();
    const container = async (): Promise<boolean> => true;
    await storageDoubt(folder.path, container);
    const marker = await readFile(join(folder.path, "storage-id.json"), "utf8");
    assert.match(marker, /"id":"[0-9a-f-]{36}"/);
    assert.equal(await storageDoubt(folder.path, container), null);
    assert.equal(await readFile(join(folder.path, "storage-id.json"), "utf8"), marker, "written once");
  });

  void it("of an older Paddock, which wrote no marker, lasts", async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, "accounts", "letsencrypt"), { recursive: true });
    await writeFile(join(folder.path, "accounts", "letsencrypt", "account.json"), "{}");
    assert.equal(await storageDoubt(folder.path), null);
  });

  /** In a mount namespace of its own, with a real tmpfs or a real overlay over the folder. */
  for (const [what, mount, first] of [
    ["a tmpfs", "mount -t tmpfs none /mnt", /^is on tmpfs, in memory$/],
    [
      "an overlay",
      "mount -t tmpfs none /media && cd /media && mkdir l u w && mount -t overlay o -o lowerdir=/media/l,upperdir=/media/u,workdir=/media/w /mnt",
      /^is in the container's own layer/,
    ],
  ] as const)
    void it(`on ${what} of this kernel is in doubt at the first start alone`, async (t) => {
      const module = resolve(import.meta.dirname, "../../src/certificates/guard/kept-storage.ts");
      const program = `const { storageDoubt } = await import(${JSON.stringify(module)});
const look = () => storageDoubt("/mnt", async () => true);
console.log(JSON.stringify([await look(), await look()]));`;
      const root = process.geteuid?.() === 0 ? [] : ["--map-root-user"];
      const args = [...root, "--mount", "sh", "-c", `${mount} && exec "$@"`, "sh", process.execPath];
      const { stdout } = await promisify(execFile)("unshare", [
        ...args,
        "--input-type=module",
        "-e",
        program,
      ]);
      t.diagnostic(stdout);
      const [one, two] = JSON.parse(stdout) as [string | null, string | null];
      assert.match(one ?? "", first);
      assert.equal(two, null);
    });
});
