/**
 * The benchmark: every proxy in turn, never two at once, against the same app in one run.
 * usage: main.ts [--json FILE] [--only ROW] [--seconds N] [--proxies NAMES] [--before CHECKOUT] [--rounds N]
 * `--only` takes the beginning of a row's name, `--proxies` names with commas between them. `--before` runs Paddock of
 * another checkout too, as "Paddock before". With several rounds each number is the median of theirs.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { once } from "node:events";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startGunicorn } from "../test/parts/gunicorn.ts";
import { freePorts } from "../test/parts/pebble.ts";
import { startUvicorn } from "../test/parts/uvicorn.ts";
import { killAll, run, stop } from "./processes.ts";
import { PROXIES, paddockOf, type Proxy } from "./proxies.ts";
import { ROWS, type App, type Row } from "./rows.ts";
import { medians, table, type Result } from "./table.ts";
import { BODY_BYTES, startUpstream } from "./upstream.ts";

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "1" },
    proxies: { type: "string" },
    before: { type: "string" },
  },
});
const seconds = whole("seconds");
const rounds = whole("rounds");
const proxies = chosenProxies();
const rows = ROWS.filter(({ name }) => name.startsWith(values.only));
if (rows.length === 0)
  throw new Error(`--only wants the beginning of: ${ROWS.map((row) => row.name).join("; ")}`);

const folder = mkdtempSync(join(tmpdir(), "paddock-bench-"));
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    killAll();
    // Retried: what was killed a moment ago may still be writing.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    process.exit(1);
  });
}

const cert = `${folder}/cert.pem`;
const key = `${folder}/key.pem`;
const statics = `${folder}/static`;
const results: Result[] = [];
try {
  await prepare();
  for (let round = 1; round <= rounds; round++) {
    for (const app of ["2 KB", "uvicorn", "sync", "gthread"] as const) {
      const wanted = rows.filter((row) => row.app === app);
      if (wanted.length > 0) await against(app, wanted, `${folder}/${round}`);
    }
  }
} finally {
  killAll();
  await rm(folder, { recursive: true, force: true });
}
const summary = medians(results).sort((a, b) => rowIndex(a.row) - rowIndex(b.row));
const machine = `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} processors, Linux ${release()}`;
const versions = Object.fromEntries(proxies.map((proxy) => [proxy.name, proxy.version()]));
console.log(`${machine}; ${seconds} s a row, rounds: ${rounds}; in parentheses the ratio to nginx\n`);
console.log(table(summary, (PROXIES[0] as Proxy).name));
if (values.json !== undefined) {
  const date = new Date().toISOString();
  await writeFile(values.json, `${JSON.stringify({ date, machine, seconds, versions, results }, null, 2)}\n`);
}
if (results.some(({ failure }) => failure !== undefined)) process.exitCode = 1;

function whole(option: "seconds" | "rounds"): number {
  const value = Number(values[option]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${option} wants a whole number from 1`);
  return value;
}

function chosenProxies(): readonly Proxy[] {
  const known = [...PROXIES, ...(values.before === undefined ? [] : paddockOf(values.before, "before"))];
  if (values.proxies === undefined) return known;
  const wanted = values.proxies.split(",");
  const unknown = wanted.find((name) => !known.some((proxy) => proxy.name === name));
  if (unknown !== undefined)
    throw new Error(`--proxies wants some of: ${known.map(({ name }) => name).join(",")}; not ${unknown}`);
  return known.filter(({ name }) => wanted.includes(name));
}

function rowIndex(name: string): number {
  return rows.findIndex((row) => row.name === name);
}

/** The certificate and the static files that all proxies share. */
async function prepare(): Promise<void> {
  await mkdir(statics);
  await writeFile(`${statics}/small.css`, "x".repeat(BODY_BYTES));
  await writeFile(`${statics}/large.bin`, Buffer.alloc(10 * 1024 * 1024, "paddock"));
  const names = "subjectAltName=DNS:localhost,DNS:app.test";
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  const files = ["-keyout", key, "-out", cert];
  await run(
    "openssl",
    ["req", "-x509", ...curve, "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext", names, ...files],
    20,
  );
}

async function against(app: App, wanted: readonly Row[], parent: string): Promise<void> {
  const home = `${parent}/${app.replace(" ", "")}`;
  await mkdir(home, { recursive: true });
  const socket = `${home}/app.sock`;
  const end = await startApp(app, home, socket);
  try {
    for (const proxy of proxies)
      await measure(proxy, socket, `${home}/${proxy.name.replaceAll(" ", "-")}`, wanted);
  } finally {
    await end();
  }
}

async function startApp(app: App, home: string, socket: string): Promise<() => Promise<void>> {
  if (app === "uvicorn") {
    const uvicorn = await startUvicorn({ socket });
    return () => uvicorn.stop();
  }
  if (app !== "2 KB") {
    const gunicorn = await startGunicorn({ folder: home, socket, workerClass: app });
    return () => gunicorn.stop();
  }
  const upstream = startUpstream(home, socket);
  for (let tries = 0; !existsSync(socket); tries++) {
    if (tries > 200) throw new Error("the upstream app did not start");
    await sleep(25);
  }
  return () => stop(upstream);
}

async function measure(proxy: Proxy, upstream: string, home: string, wanted: readonly Row[]): Promise<void> {
  const [port] = (await freePorts(1)) as [number];
  await mkdir(home);
  const child = proxy.start({ home, port, upstream, cert, key, statics });
  const target = { pid: child.pid as number, port, home };
  try {
    await serving(child, port, home);
    for (const row of wanted.filter(({ suits }) => suits(proxy))) {
      console.error(`${proxy.name}: ${row.name}`);
      const about = { row: row.name, proxy: proxy.name };
      try {
        await check(row, port);
        results.push({ ...about, measure: await row.measure(target, seconds) });
      } catch (error) {
        results.push({ ...about, failure: (error as Error).message });
      }
    }
  } catch (error) {
    // A proxy that does not start costs its own rows, not the run.
    const failure = (error as Error).message;
    for (const row of wanted.filter(({ suits }) => suits(proxy))) {
      results.push({ row: row.name, proxy: proxy.name, failure });
    }
  } finally {
    await stop(child);
  }
}

async function serving(child: ChildProcess, port: number, home: string): Promise<void> {
  for (const end = Date.now() + 15_000; ; await sleep(50)) {
    try {
      await ask(port, "/", "localhost");
      return;
    } catch (error) {
      if (child.exitCode === null && Date.now() < end) continue;
      const log = await readFile(`${home}/out.log`, "utf8").catch(() =>
        readFile(`${home}/access.log`, "utf8"),
      );
      throw new Error(`a proxy did not start:\n${log.slice(-2000)}`, { cause: error });
    }
  }
}

async function check(row: Row, port: number): Promise<void> {
  const { status, length } = await ask(port, row.path, row.host ?? "localhost");
  if (status !== 200) throw new Error(`${row.path} answered ${status}`);
  if (row.bytes !== undefined && row.bytes !== length) throw new Error(`${row.path} brought ${length} bytes`);
}

async function ask(port: number, path: string, host: string): Promise<{ status: number; length: number }> {
  const asked = request({
    host: "127.0.0.1",
    port,
    path,
    servername: "localhost",
    headers: { host },
    agent: false,
    rejectUnauthorized: false,
  });
  asked.setTimeout(10_000, () => asked.destroy(new Error("no answer in 10 s")));
  asked.end();
  const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
  let length = 0;
  for await (const part of response) length += (part as Buffer).length;
  return { status: response.statusCode as number, length };
}
