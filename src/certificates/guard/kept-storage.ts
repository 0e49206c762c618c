import { randomUUID } from "node:crypto";
import { access, readFile, realpath } from "node:fs/promises";
import { join } from "node:path";
import { listFolder, readIfThere, writeDurably } from "../durable-file.ts";
import { mountOf, whyNotKept } from "./mounts.ts";

/** Null where the storage keeps what is written; else a clause about why that is in doubt. */
export type StorageDoubt = string | null;

const FILE = "storage-id.json";

/**
 * Whether the storage will have at the next start what is written now. It will where it has what an earlier start wrote;
 * at the first start the file system says.
 *
 * A container without a volume forgets its certificates and orders them anew at each start, until the CA's limit: the
 * fifth deployment of a week would be without one for days.
 *
 * @param storage it MUST exist.
 * @throws PaddockError `storage.failed` where it cannot be written.
 */
export async function storageDoubt(storage: string, inContainer = isContainer): Promise<StorageDoubt> {
  const path = join(storage, FILE);
  if ((await readIfThere(path)) !== null) return null;
  // Of a Paddock that wrote no marker yet.
  const earlier = (await listFolder(join(storage, "accounts"))).length > 0;
  await writeDurably(path, `${JSON.stringify({ version: 1, id: randomUUID() })}\n`);
  if (earlier) return null;
  let mountinfo: string;
  try {
    mountinfo = await readFile("/proc/self/mountinfo", "utf8");
  } catch {
    // Without /proc nothing speaks against it.
    return null;
  }
  const mount = mountOf(await realpath(storage), mountinfo);
  return mount === null ? null : whyNotKept(mount, await inContainer());
}

/** Docker and Podman leave a file; others are seen by the control group of the first process. */
async function isContainer(): Promise<boolean> {
  const there = async (path: string): Promise<boolean> =>
    await access(path).then(
      () => true,
      () => false,
    );
  if ((await there("/.dockerenv")) || (await there("/run/.containerenv"))) return true;
  if (process.env["KUBERNETES_SERVICE_HOST"] !== undefined) return true;
  const groups = await readFile("/proc/1/cgroup", "utf8").catch(() => "");
  return /docker|kubepods|containerd|libpod|lxc/.test(groups);
}
