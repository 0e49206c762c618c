import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { InvokingUser } from "./invoking-user.ts";
import type { Outcome } from "./outcome.ts";
import { complaint, findProgram, runProgram, type ProgramResult } from "./program.ts";
import { isSameRoot, type TrustedRoot } from "./trusted-root.ts";

/** Below the home folder; Chromium and its kin share one, or have one in their snap. */
const CHROMIUM = [".pki/nssdb", ".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb"];

/** Below the home folder; each profile has a database of its own. */
const FIREFOX = [
  ".mozilla/firefox",
  ".config/mozilla/firefox",
  "snap/firefox/common/.mozilla/firefox",
  ".var/app/org.mozilla.firefox/.mozilla/firefox",
];

const CHROMIUM_PROGRAMS = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "brave-browser",
  "microsoft-edge",
];

/** certutil's word for: a CA that servers' certificates may come from, and nothing else. */
const TRUST = "C,,";

interface Database {
  readonly browser: string;
  readonly folder: string;
  /** Chromium makes its own at its first start; where it is installed, we may be earlier. */
  readonly missing: boolean;
}

/** The browsers of one user: Chromium and Firefox keep their roots in NSS databases. */
export async function changeNssStores(
  root: TrustedRoot,
  action: "install" | "uninstall",
  user: InvokingUser,
  environment: NodeJS.ProcessEnv,
): Promise<Outcome[]> {
  const databases = await findDatabases(user, action, environment);
  if (databases.length === 0) return [];
  const certutil = (argv: readonly string[], input?: string): Promise<ProgramResult> =>
    runProgram("certutil", argv, {
      environment,
      as: user.as,
      home: user.home,
      ...(input === undefined ? {} : { input }),
    });
  const outcomes: Outcome[] = [];
  // One after the other: two writers to one database lock each other out.
  for (const database of databases) {
    const store = `${database.browser} (${database.folder})`;
    if (findProgram("certutil", environment) === null)
      outcomes.push({
        store,
        state: "failed",
        reason: "certutil is not installed",
        fix: "apt install libnss3-tools, or dnf install nss-tools, and call it again",
      });
    else outcomes.push({ store, ...(await change(root, action, database, user, environment, certutil)) });
  }
  return outcomes;
}

async function change(
  root: TrustedRoot,
  action: "install" | "uninstall",
  { folder, missing }: Database,
  user: InvokingUser,
  environment: NodeJS.ProcessEnv,
  certutil: (argv: readonly string[], input?: string) => Promise<ProgramResult>,
): Promise<Omit<Outcome, "store">> {
  const database = `sql:${folder}`;
  const failed = (result: ProgramResult): Omit<Outcome, "store"> => ({
    state: "failed",
    reason: complaint(result),
    fix: "close the browser and call it again; a database with a password needs certutil by hand",
  });
  if (missing) {
    const made = await runProgram("mkdir", ["-p", "-m", "0700", folder], {
      environment,
      as: user.as,
    });
    if (made.code !== 0) return failed(made);
    const initialised = await certutil(["-N", "-d", database, "--empty-password"]);
    if (initialised.code !== 0) return failed(initialised);
  }
  const kept = await certutil(["-L", "-d", database, "-n", root.nickname, "-a"]);
  const there = kept.code === 0 && isSameRoot(root, kept.stdout);
  if (action === "uninstall") {
    if (!there) return { state: "was not there" };
    const removed = await certutil(["-D", "-d", database, "-n", root.nickname]);
    return removed.code === 0 ? { state: "removed" } : failed(removed);
  }
  if (there && (await isTrusted(root, database, certutil))) return { state: "already there" };
  // By standard input: the storage is closed to the user whose browsers these are.
  const added = await certutil(["-A", "-d", database, "-n", root.nickname, "-t", TRUST, "-a"], root.pem);
  return added.code === 0 ? { state: "added" } : failed(added);
}

/** Whether the list has the root with its trust; somebody may have taken that away in the browser's settings. */
async function isTrusted(
  root: TrustedRoot,
  database: string,
  certutil: (argv: readonly string[]) => Promise<ProgramResult>,
): Promise<boolean> {
  const { stdout } = await certutil(["-L", "-d", database]);
  return stdout.split("\n").some((line) => line.startsWith(root.nickname) && line.trim().endsWith(TRUST));
}

async function findDatabases(
  { home }: InvokingUser,
  action: "install" | "uninstall",
  environment: NodeJS.ProcessEnv,
): Promise<Database[]> {
  const found: Database[] = [];
  for (const path of CHROMIUM) {
    const folder = join(home, path);
    const exists = existsSync(join(folder, "cert9.db"));
    const wanted =
      action === "install" &&
      path === CHROMIUM[0] &&
      CHROMIUM_PROGRAMS.some((name) => findProgram(name, environment) !== null);
    if (exists || wanted) found.push({ browser: "Chromium", folder, missing: !exists });
  }
  for (const path of FIREFOX) {
    const profiles = await readdir(join(home, path)).catch(() => []);
    for (const profile of profiles.toSorted((a, b) => (a < b ? -1 : 1))) {
      const folder = join(home, path, profile);
      if (existsSync(join(folder, "cert9.db"))) found.push({ browser: "Firefox", folder, missing: false });
    }
  }
  return found;
}
