/**
 * How a daemon with very many sites starts and what it holds:
 * `node bench/many-sites.ts [SITES] [--program FILE] [--folder DIR]`.
 *
 * The certificates are in the storage already, as after a restart: made by an embedded CA and filed as those of a
 * public one. Prints the time from the start of the process to the first finished handshake, the memory of a worker
 * for each site that nobody asks for, and the time until the last site answers. `--program` measures another bin/paddock, such
 * as that of an installed package. `--folder` is kept, with the certificates that are in it already.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { parseArgs } from "node:util";
import { DamagedFiles } from "../src/certificates/damaged.ts";
import { EmbeddedCa } from "../src/certificates/embedded-ca.ts";
import { fileNameFor, fileNameForSet } from "../src/certificates/file-name.ts";
import { acceptIssued, storedText } from "../src/certificates/store.ts";
import { systemClock } from "../src/clock.ts";
import { createLogger } from "../src/logging/logger.ts";
import { freePorts } from "../test/parts/pebble.ts";

const { values, positionals } = parseArgs({
  options: {
    program: { type: "string", default: join(import.meta.dirname, "../bin/paddock") },
    folder: { type: "string" },
  },
  allowPositionals: true,
});
const sites = Number(positionals[0] ?? 10_000);
/** Nobody answers there: what is stored is all that there is. */
const DIRECTORY = "https://127.0.0.1:1/dir";

const folder = values.folder ?? mkdtempSync(join(tmpdir(), "paddock-many-"));
const [port] = (await freePorts(1)) as [number];
try {
  const started = performance.now();
  if (!existsSync(join(folder, "store"))) await makeCertificates(sites);
  process.stdout.write(`${sites} certificates made in ${seconds(performance.now() - started)}\n`);
  const one = await measure(1);
  const many = await measure(sites);
  const bytes = (many.memory - one.memory) / (sites - 1);
  process.stdout.write(`1 site: first handshake after ${seconds(one.first)}\n`);
  process.stdout.write(`${sites} sites: first handshake after ${seconds(many.first)}\n`);
  process.stdout.write(`memory of a worker per idle site: ${(bytes / 1024).toFixed(1)} KB\n`);
  process.stdout.write(
    `memory of the supervisor per site: ${((many.supervisor - one.supervisor) / (sites - 1) / 1024).toFixed(1)} KB\n`,
  );
  process.stdout.write(`a thousand sites asked for, one after the other: ${seconds(many.thousand)}\n`);
} finally {
  if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
}

function nameOf(site: number): string {
  return `site-${site}.example.com`;
}

async function makeCertificates(count: number): Promise<void> {
  const log = createLogger({ level: "error", access: false, format: "json" });
  const clock = systemClock;
  const ca = await EmbeddedCa.open({
    storage: join(folder, "ca"),
    clock,
    damaged: new DamagedFiles({ storage: folder, clock, log }),
  });
  const home = join(folder, "store", "certificates", fileNameFor(DIRECTORY));
  mkdirSync(home, { recursive: true, mode: 0o700 });
  for (let site = 0; site < count; site += 1) {
    const names = [nameOf(site)];
    const issued = acceptIssued(await ca.issue(names), { issuer: DIRECTORY, names, now: Date.now() });
    writeFileSync(join(home, `${fileNameForSet(names)}.json`), storedText(issued), { mode: 0o600 });
  }
}

async function measure(
  count: number,
): Promise<{ first: number; memory: number; supervisor: number; thousand: number }> {
  const yaml = [
    `storage: ${folder}/store`,
    "workers: 1",
    `admin: { listen: false, socket: ${folder}/control.sock }`,
    `listen: { http: [], https: ["127.0.0.1:${port}"] }`,
    `issuers: [{ acme: "${DIRECTORY}" }]`,
    "sites:",
    ...Array.from(
      { length: count },
      (_, site) => `  - names: [${nameOf(site)}]\n    upstream: unix:${folder}/app.sock`,
    ),
  ].join("\n");
  const file = join(folder, "paddock.yaml");
  writeFileSync(file, `${yaml}\n`);
  const started = performance.now();
  const daemon = spawn(values.program, ["run", "--config", file], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    while (!(await shakesHands(nameOf(count - 1)))) {
      if (daemon.exitCode !== null) throw new Error("the daemon ended");
      await sleep(10);
    }
    const first = performance.now() - started;
    await sleep(5000);
    const worker = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8")
      .trim()
      .split(" ")[0];
    const memory = residentBytes(Number(worker));
    const supervisor = residentBytes(daemon.pid as number);
    const asked = performance.now();
    for (let site = 0; site < Math.min(count, 1000); site += 1)
      if (!(await shakesHands(nameOf(site)))) throw new Error(`${nameOf(site)} is not served`);
    return { first, memory, supervisor, thousand: performance.now() - asked };
  } finally {
    const ended = once(daemon, "exit");
    daemon.kill("SIGTERM");
    await ended;
  }
}

async function shakesHands(servername: string): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().subjectaltname === `DNS:${servername}`;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
