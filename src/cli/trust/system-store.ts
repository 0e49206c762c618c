import { existsSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, systemErrorCode } from "../../errors.ts";
import type { Outcome } from "./outcome.ts";
import { complaint, findProgram, runProgram } from "./program.ts";
import { isSameRoot, type TrustedRoot } from "./trusted-root.ts";

interface SystemStore {
  readonly folder: string;
  readonly update: readonly [string, ...string[]];
  /** After a removal: Debian leaves links of what is gone unless it begins anew. */
  readonly clean: readonly [string, ...string[]];
}

/** Where distributions take further roots from, and what they make their bundles with. */
const STORES: readonly SystemStore[] = [
  // Debian, Ubuntu, Alpine
  {
    folder: "/usr/local/share/ca-certificates",
    update: ["update-ca-certificates"],
    clean: ["update-ca-certificates", "--fresh"],
  },
  // Red Hat, Fedora
  {
    folder: "/etc/pki/ca-trust/source/anchors",
    update: ["update-ca-trust", "extract"],
    clean: ["update-ca-trust", "extract"],
  },
  // SUSE
  {
    folder: "/etc/pki/trust/anchors",
    update: ["update-ca-certificates"],
    clean: ["update-ca-certificates", "--fresh"],
  },
];

/**
 * What curl, Python and most of what is not a browser trusts. The file has a name of its own, so nothing that
 * somebody else put there is replaced or removed. The bundle is made anew in any case: an earlier call may have
 * ended between the two.
 */
export async function changeSystemStore(
  root: TrustedRoot,
  action: "install" | "uninstall",
  environment: NodeJS.ProcessEnv,
): Promise<Outcome> {
  const found = STORES.find(
    ({ folder, update }) => existsSync(folder) && findProgram(update[0], environment) !== null,
  );
  if (found === undefined)
    return {
      store: "system store",
      state: "failed",
      reason: "neither update-ca-certificates nor update-ca-trust is here",
      fix: "install the package ca-certificates",
    };
  const path = join(found.folder, root.fileName);
  const store = `system store (${path})`;
  const there = isSameRoot(root, await readFile(path, "utf8").catch(() => ""));
  try {
    if (action === "uninstall") {
      // Only ours: a file of the same name with another certificate is somebody else's.
      if (!there) return { store, state: "was not there" };
      await rm(path);
    } else if (!there) {
      await writeFile(`${path}.new`, root.pem, { mode: 0o644 });
      await rename(`${path}.new`, path);
    }
  } catch (error) {
    const denied = ["EACCES", "EPERM"].includes(systemErrorCode(error) ?? "");
    return {
      store,
      state: "failed",
      reason: denied ? "this user may not write there" : messageOf(error),
      fix: denied ? "call it by sudo" : "see that the disk is writable and not full",
    };
  }
  const [program, ...argv] = action === "install" ? found.update : found.clean;
  const result = await runProgram(program, argv, { environment });
  if (result.code !== 0)
    return {
      store,
      state: "failed",
      reason: `${program} could not make the bundle: ${complaint(result)}`,
      fix: process.geteuid?.() === 0 ? `run ${program} by hand` : "call it by sudo",
    };
  return { store, state: action === "uninstall" ? "removed" : there ? "already there" : "added" };
}
