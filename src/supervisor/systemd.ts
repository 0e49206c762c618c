import { execFile } from "node:child_process";
import { writeSync } from "node:fs";
import { PaddockError } from "../errors.ts";

/** The first descriptor that systemd passes; sd_listen_fds(3). */
const FIRST = 3;

/** The listening socket that systemd passed under this FileDescriptorName. */
export function socketFromSystemd(name: string): number {
  const names = (process.env.LISTEN_FDNAMES ?? "").split(":");
  const index = names.indexOf(name);
  if (process.env.LISTEN_PID !== String(process.pid) || index === -1) {
    throw new PaddockError("ERR_SOCKET_ACTIVATION", `systemd passed no socket called ${name}`, {
      fix: `set FileDescriptorName=${name} in the .socket unit, or listen on an address`,
    });
  }
  return FIRST + index;
}

/**
 * sd_notify(3), or nothing where no systemd asks for it. bin/paddock hands down a socket that is connected to
 * systemd, so that the notice comes from the main process, the only one that NotifyAccess=main listens to.
 * Without it (no perl on the machine) systemd's own program is tried, which takes NotifyAccess=all.
 */
export function notifySystemd(...assignments: string[]): void {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  const descriptor = process.env.PADDOCK_NOTIFY_FD;
  if (descriptor === undefined) {
    execFile("systemd-notify", assignments, () => undefined);
    return;
  }
  try {
    writeSync(Number(descriptor), assignments.join("\n"));
  } catch {
    // systemd restarts itself now and then; a notice that is lost must not end the daemon.
  }
}

/** Pets the watchdog at half its interval, as long as the event loop turns. */
export function startWatchdog(): void {
  const microseconds = Number(process.env.WATCHDOG_USEC ?? 0);
  if (microseconds > 0) setInterval(() => notifySystemd("WATCHDOG=1"), microseconds / 2000).unref();
}
