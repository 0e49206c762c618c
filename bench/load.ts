/** The load: wrk for HTTP/1.1, h2load for HTTP/2, and TLS connections of this process's own. */
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { cpuMicroseconds, residentBytes, run } from "./processes.ts";

export interface Target {
  readonly pid: number;
  readonly port: number;
  /** Where a load generator may write. */
  readonly home: string;
}

/** What one row measured; only what the row can tell is there. */
export interface Measure {
  readonly cpuMicroseconds?: number;
  readonly perSecond?: number;
  readonly p99Milliseconds?: number;
  readonly bytesPerConnection?: number;
}

interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p99Milliseconds?: number;
}

/** A daemon is warm for weeks: the optimizing compiler of Node.js has done its work after about 50,000 requests. */
const WARM_UP_SECONDS = 5;
/** Before an app that answers a tenth as fast, it takes as many requests and so more time. */
const APP_WARM_UP_SECONDS = 20;
const MILLISECONDS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };

/** Warms up, then divides the CPU time of the measured span by its requests. */
async function measured(
  { pid }: Target,
  seconds: number,
  load: (seconds: number) => Promise<Load>,
  warmUp = WARM_UP_SECONDS,
): Promise<Measure> {
  await load(warmUp);
  const before = cpuMicroseconds(pid);
  const { requests, perSecond, p99Milliseconds } = await load(seconds);
  await sleep(50); // What the proxy still does for the last requests, such as its log, belongs to them.
  const spent = cpuMicroseconds(pid) - before;
  if (requests === 0) throw new Error("no request was answered");
  return {
    cpuMicroseconds: spent / requests,
    perSecond,
    ...(p99Milliseconds === undefined ? {} : { p99Milliseconds }),
  };
}

/** `host`: of the Django site, which wants its own. */
export function http1(target: Target, path: string, seconds: number, host?: string): Promise<Measure> {
  const url = `https://localhost:${target.port}${path}`;
  const load = async (span: number): Promise<Load> => {
    const fields = host === undefined ? [] : ["-H", `Host: ${host}`];
    const out = await run("wrk", ["-t1", "-c32", `-d${span}s`, "--latency", ...fields, url], span + 15);
    // wrk counts as a read error what a server closes after an answer; any other error spoils the row, since the
    // requests that are left had the proxy to themselves.
    const bad = /Non-2xx or 3xx responses: \d+/.exec(out) ?? /(?:connect|write|timeout) [1-9]\d*/.exec(out);
    if (bad !== null) throw new Error(`wrk: ${bad[0]}`);
    const p99 = /^\s+99%\s+([\d.]+)(us|ms|s|m)$/m.exec(out);
    return {
      requests: Number(/(\d+) requests in/.exec(out)?.[1] ?? 0),
      perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1] ?? 0),
      ...(p99 ? { p99Milliseconds: Number(p99[1]) * (MILLISECONDS[p99[2] as string] as number) } : {}),
    };
  };
  return measured(target, seconds, load, host === undefined ? WARM_UP_SECONDS : APP_WARM_UP_SECONDS);
}

export function http2(target: Target, path: string, seconds: number): Promise<Measure> {
  const log = `${target.home}/h2load.log`;
  return measured(target, seconds, async (span) => {
    rmSync(log, { force: true });
    const out = await run(
      "h2load",
      [
        "-t1",
        "-c8",
        "-m8",
        `-D${span}`,
        `--log-file=${log}`,
        `--connect-to=127.0.0.1:${target.port}`,
        `https://localhost:${target.port}${path}`,
      ],
      span + 15,
    );
    if (!out.includes("Application protocol: h2")) throw new Error("HTTP/2 was not negotiated");
    const requests = Number(/status codes: (\d+) 2xx/.exec(out)?.[1] ?? 0);
    return { requests, perSecond: requests / span, p99Milliseconds: p99Of(log) };
  });
}

/** h2load prints no percentiles, but logs each request: start, status, microseconds. */
function p99Of(log: string): number {
  const times = readFileSync(log, "latin1")
    .trimEnd()
    .split("\n")
    .map((line) => Number(line.split("\t")[2]))
    .filter((time) => time >= 0)
    .sort((a, b) => a - b);
  return (times[Math.floor(times.length * 0.99)] ?? Number.NaN) / 1000;
}

/** One TLS connection, resuming `session` if given. openssl's s_time sends no server name, hence this. */
async function handshake(port: number, session?: Buffer): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
    ...(session === undefined ? {} : { session }),
  });
  socket.setTimeout(10_000, () => socket.destroy(new Error("no handshake in 10 s")));
  await once(socket, "secureConnect");
  socket.setTimeout(0);
  socket.on("error", () => undefined); // A server may reset what is closed without a request.
  return socket;
}

/** Handshakes, four at a time. The rate is bounded by this process; the CPU time is the proxy's own. */
export async function handshakes(target: Target, seconds: number, resumed: boolean): Promise<Measure> {
  const session = resumed ? await sessionOf(target.port) : undefined;
  return await measured(target, seconds, async (span) => {
    const start = performance.now();
    const end = start + span * 1000;
    let requests = 0;
    const loop = async (): Promise<void> => {
      while (performance.now() < end) {
        const socket = await handshake(target.port, session);
        if (socket.isSessionReused() !== resumed) throw new Error("the session was not resumed");
        requests++;
        socket.destroy();
      }
    };
    await Promise.all([loop(), loop(), loop(), loop()]);
    return { requests, perSecond: requests / ((performance.now() - start) / 1000) };
  });
}

/** With TLS 1.3 tickets come after the handshake, and from some servers only with the first answer. */
async function sessionOf(port: number): Promise<Buffer> {
  const socket = await handshake(port);
  const signal = AbortSignal.timeout(5000);
  const ticket = once(socket, "session", { signal }) as Promise<[Buffer]>;
  socket.resume();
  socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const [session] = await ticket;
  socket.destroy();
  return session;
}

const IDLE_CONNECTIONS = 500;

/** Growth of resident memory by connections that have shaken hands and ask nothing. Wants a fresh process. */
export async function idleMemory(target: Target): Promise<Measure> {
  const few = await Promise.all(Array.from({ length: 8 }, () => handshake(target.port)));
  for (const socket of few) socket.destroy();
  await sleep(300);
  const before = residentBytes(target.pid);
  const sockets: TLSSocket[] = [];
  try {
    while (sockets.length < IDLE_CONNECTIONS) {
      const batch = await Promise.all(Array.from({ length: 20 }, () => handshake(target.port)));
      sockets.push(...batch);
    }
    await sleep(500);
    return { bytesPerConnection: (residentBytes(target.pid) - before) / sockets.length };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}
