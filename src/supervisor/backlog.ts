import { readFile } from "node:fs/promises";

/** net/unix/af_unix.c, unix_seq_show: SS_CONNECTING is a connection that has not been accepted. */
const CONNECTING = "02";

/**
 * How many connections wait in the backlog of the Unix socket at `path`, by the text of /proc/net/unix (proc(5)):
 * num, refcount, protocol, flags, type, state, inode, path. A connection that has not been accepted has the
 * listening socket's path and no file yet.
 */
export function backlogOf(table: string, path: string): number {
  let waiting = 0;
  for (let at = table.indexOf(` ${path}\n`); at !== -1; at = table.indexOf(` ${path}\n`, at + 1)) {
    const line = table.slice(table.lastIndexOf("\n", at) + 1, at);
    if (line.split(/\s+/)[5] === CONNECTING) waiting++;
  }
  return waiting;
}

/** The kernel's table of Unix sockets, of this network namespace; null where there is none. */
export async function unixSockets(): Promise<string | null> {
  try {
    return await readFile("/proc/net/unix", "latin1");
  } catch {
    return null;
  }
}
