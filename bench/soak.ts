/**
 * A million requests over each protocol, and whether a worker's memory stays where the first hundred thousand put it.
 * usage: soak.ts [--requests N]
 */
import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePorts } from "../test/parts/pebble.ts";
import { killAll, processTree, residentBytes, run, stop } from "./processes.ts";
import { PROXIES } from "./proxies.ts";
import { startUpstream } from "./upstream.ts";

/** Of the memory after the first tenth. */
const MOST_GROWTH = 1.15;

const { values } = parseArgs({ options: { requests: { type: "string", default: "1000000" } } });
const requests = Number(values.requests);
if (!Number.isInteger(requests) || requests < 1000) throw new Error("--requests wants a number from 1000");

const folder = await mkdtemp(join(tmpdir(), "paddock-soak-"));
const [port] = (await freePorts(1)) as [number];
const [cert, key, statics] = [`${folder}/cert.pem`, `${folder}/key.pem`, `${folder}/static`];
const url = `https://localhost:${port}/`;
const paddock = PROXIES.find(({ name }) => name === "Paddock");
if (paddock === undefined) throw new Error("the benchmark has no Paddock");
try {
  mkdirSync(statics);
  await run(
    "openssl",
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost,DNS:app.test -keyout ${key} -out ${cert}`.split(
      " ",
    ),
    20,
  );
  const upstream = startUpstream(folder, `${folder}/app.sock`);
  while (!existsSync(`${folder}/app.sock`)) await sleep(25);
  for (const [protocol, options] of [
    ["HTTP/1.1", ["--h1", "-c32"]],
    ["HTTP/2", ["-c8", "-m8"]],
  ] as const) {
    const home = `${folder}/${protocol.replace("/", "")}`;
    mkdirSync(home);
    const daemon = paddock.start({ home, port, upstream: `${folder}/app.sock`, cert, key, statics });
    await run(
      "curl",
      ["-sk", "--retry", "40", "--retry-connrefused", "--retry-delay", "1", "-o", "/dev/null", url],
      60,
    );
    const worker = processTree(daemon.pid as number)[1] as number;
    const load = async (count: number): Promise<number> => {
      const out = await run("h2load", ["-t1", ...options, "-n", String(count), url], 1200);
      const answered = Number(/status codes: (\d+) 2xx/.exec(out)?.[1] ?? 0);
      if (answered !== count) throw new Error(`${count - answered} of ${count} requests were not answered`);
      await sleep(2000);
      return residentBytes(worker) / 1024 / 1024;
    };
    const early = await load(requests / 10);
    const late = await load(requests - requests / 10);
    const growth = late / early;
    console.log(
      `${protocol}: ${early.toFixed(1)} MB after ${requests / 10} requests, ${late.toFixed(1)} MB after ${requests} (${growth.toFixed(2)})`,
    );
    if (growth > MOST_GROWTH) process.exitCode = 1;
    await stop(daemon);
  }
  await stop(upstream);
} finally {
  killAll();
  await rm(folder, { recursive: true, force: true });
}
