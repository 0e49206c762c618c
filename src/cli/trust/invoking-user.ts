import { homedir } from "node:os";
import { PaddockError } from "../../errors.ts";
import { runProgram } from "./program.ts";

/** Whose browsers are meant: the user who called, also through sudo. */
export interface InvokingUser {
  readonly home: string;
  /** Set where programs must be run as somebody else than this process, so that no file of theirs becomes root's. */
  readonly as: { readonly uid: number; readonly gid: number } | null;
}

/** @throws PaddockError `ERR_NO_USER` */
export async function invokingUser(environment: NodeJS.ProcessEnv): Promise<InvokingUser> {
  const { SUDO_USER: name, SUDO_UID: uid, SUDO_GID: gid } = environment;
  if (
    process.geteuid?.() !== 0 ||
    name === undefined ||
    uid === undefined ||
    gid === undefined ||
    uid === "0"
  )
    return { home: homedir(), as: null };
  // sudo keeps or replaces HOME as it is configured to, so the user database is asked. getent knows LDAP, too.
  const found = await runProgram("getent", ["passwd", uid], { environment });
  const home = found.code === 0 ? found.stdout.split(":")[5] : undefined;
  if (home === undefined || !home.startsWith("/") || !/^\d+$/.test(uid) || !/^\d+$/.test(gid))
    throw new PaddockError("ERR_NO_USER", `the home folder of ${name} is not known`, {
      fix: "run paddock trust as that user for the browsers, and as root for the system store",
    });
  return { home, as: { uid: Number(uid), gid: Number(gid) } };
}
