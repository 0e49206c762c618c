/**
 * Children of the benchmark, and what /proc says about them.
 *
 * CPU time is read from /proc and not from the load generator's view: on a shared machine requests a second move
 * with the neighbours, while CPU microseconds per request hardly do.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";

/** USER_HZ, which Linux fixes at 100 for every program that reads /proc. */
const TICKS_PER_SECOND = 100;

/** Starts a server with its standard output (for some the access log) and errors in files. */
export function startServer(
  command: string,
  args: readonly string[],
  options: { log: string; cwd: string; env?: Record<string, string> },
): ChildProcess {
  const out = openSync(options.log, "a");
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", out, out],
  });
  closeSync(out);
  child.once("error", () => undefined); // Told by the port that never answers.
  return child;
}

/** Ends one child: politely, and after `grace` milliseconds for certain. */
export async function stop(child: ChildProcess, grace = 5000): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  const family = processTree(child.pid);
  child.kill("SIGTERM");
  const timer = setTimeout(() => {
    for (const pid of family) kill(pid);
  }, grace);
  await exit;
  clearTimeout(timer);
}

/** For an interrupted run: nothing that this process started outlives it. */
export function killAll(): void {
  for (const pid of processTree(process.pid).slice(1)) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone already, which is what was asked for.
  }
}

/** Runs a tool to its end, within `seconds`; returns its standard output. */
export async function run(command: string, args: readonly string[], seconds: number): Promise<string> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`${command} ended with ${code}:\n${(out + errors).slice(-2000)}`);
    return out;
  } finally {
    clearTimeout(timer);
  }
}

/** User plus system time in microseconds of a process and all its descendants, reaped ones too. */
export function cpuMicroseconds(root: number): number {
  let ticks = 0;
  for (const pid of processTree(root)) {
    const fields = statFields(pid);
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5); fields[0] is field 3.
    if (fields) for (const value of fields.slice(11, 15)) ticks += Number(value);
  }
  return (ticks * 1e6) / TICKS_PER_SECOND;
}

/** Resident memory in bytes, summed over a process and all its descendants. */
export function residentBytes(root: number): number {
  let kilobytes = 0;
  for (const pid of processTree(root)) {
    kilobytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

/** A process and all its descendants, parents first. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = Number(statFields(Number(entry))?.[1]);
    const siblings = children.get(parent);
    if (siblings) siblings.push(Number(entry));
    else children.set(parent, [Number(entry)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** The fields after the command's name, which may itself hold spaces and parentheses. */
function statFields(pid: number): string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text === "" ? undefined : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // The process ended between the listing and the reading.
  }
}
