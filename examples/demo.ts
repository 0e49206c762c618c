import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { get } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/**
 * `npm run demo`: a Django project under Gunicorn on a Unix socket, Paddock in front of it with a certificate of
 * the embedded CA. All that it makes lies in one new folder, which Ctrl-C removes.
 */
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DJANGO = join(ROOT, "examples/django");
// Debian's packages belong to this interpreter; another may come first on PATH.
const PYTHON = "/usr/bin/python3";
/** Longest wait for https to answer, milliseconds. */
const START = 60_000;
/** Longest wait for a child to end before it is killed, milliseconds. */
const END = 8_000;

const folder = realpathSync(mkdtempSync(join(tmpdir(), "paddock-demo-")));
const children: ChildProcess[] = [];
/** Ends the preparation that runs when the end comes. */
const preparing = new AbortController();
let ending: Promise<void> | null = null;

/** An app that is running, and the folders that Paddock serves in its place. */
interface App {
  readonly title: string;
  readonly static: Readonly<Record<string, string>>;
  readonly note?: string;
}

/** In a process group of its own: the terminal's Ctrl-C reaches this program alone, which then ends the rest in order. */
function start(
  command: string,
  args: readonly string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv },
): void {
  const child = spawn(command, args, { ...options, detached: true, stdio: ["ignore", "inherit", "inherit"] });
  children.push(child);
  child.on("error", (error) => void fail(`${command} did not start: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (ending === null) void fail(`${command} ended by itself (${signal ?? `code ${code}`})`);
  });
}

async function fail(sentence: string): Promise<void> {
  process.exitCode = 1;
  process.stderr.write(`demo: ${sentence}\n`);
  await end();
}

function end(): Promise<void> {
  ending ??= endAll();
  return ending;
}

/** The gate first, so that it finishes what is in flight while the app is still there. */
async function endAll(): Promise<void> {
  preparing.abort();
  for (const child of children.toReversed()) await endOne(child);
  rmSync(folder, { recursive: true, force: true });
  process.exit();
}

async function endOne(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await Promise.race([exited, wait(END)]);
  }
  try {
    // What is left of the group that this program started.
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing is left.
  }
}

async function python(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON, args, { ...options, signal: preparing.signal });
  return stdout;
}

async function missing(): Promise<string | null> {
  if (!existsSync(join(DJANGO, "manage.py"))) return "examples/django is not here";
  try {
    await python(["-c", "import django, gunicorn"]);
    return null;
  } catch {
    return "Django or Gunicorn is not installed (sudo apt-get install gunicorn python3-django)";
  }
}

/** The project is run where it lies; its database and static files are in the folder and end with the demo. */
async function startDjango(socket: string, port: number): Promise<App> {
  const files = join(folder, "static");
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PYTHONDONTWRITEBYTECODE: "1",
    DJANGO_DATABASE: join(folder, "db.sqlite3"),
    DJANGO_STATIC_ROOT: files,
    DJANGO_ALLOWED_HOSTS: "localhost",
    DJANGO_CSRF_TRUSTED_ORIGINS: `https://localhost:${port}`,
    DJANGO_DEMO_PASSWORD: "demo",
  };
  const manage = (...args: string[]): Promise<string> => python(["manage.py", ...args], { cwd: DJANGO, env });
  await manage("migrate", "--verbosity", "0");
  await manage("collectstatic", "--noinput", "--verbosity", "0");
  await manage("demo_user");
  // gthread keeps connections from the gate open; the default worker closes each after one response.
  const args = ["-m", "gunicorn", "--bind", `unix:${socket}`, "--workers", "2", "--worker-class", "gthread"];
  args.push("--threads", "4", "--keep-alive", "75", "--log-level", "warning", "gate.wsgi");
  start(PYTHON, args, { cwd: DJANGO, env });
  return {
    title: "Django under Gunicorn",
    static: { "/static/": files },
    note: "the user is demo, and so is the password",
  };
}

function startFallback(socket: string, reason: string): App {
  const files = join(folder, "static");
  mkdirSync(files);
  writeFileSync(join(files, "hello.txt"), "This file came from Paddock, not from the app.\n");
  start(process.execPath, [join(ROOT, "examples/fallback-app.ts"), socket], { cwd: folder });
  return { title: "the built-in app", static: { "/static/": files }, note: reason };
}

/** `preferred`, or another free port where that one is taken. */
async function freePort(preferred: number): Promise<number> {
  const server = createServer();
  for (const port of [preferred, 0]) {
    const listening = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!listening) continue;
    const address = server.address();
    server.close();
    await once(server, "close");
    if (typeof address === "object" && address !== null) return address.port;
  }
  throw new Error("no free port on 127.0.0.1");
}

/** The status that https answers with, checked against the embedded CA's root; null while it does not. */
function answer(port: number, root: string): Promise<number | null> {
  return new Promise((resolve) => {
    if (!existsSync(root)) return resolve(null);
    const options = {
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: readFileSync(root),
      agent: false as const,
    };
    const request = get({ ...options, headers: { host: `localhost:${port}` }, timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(null));
  });
}

async function demo(): Promise<void> {
  const socket = join(folder, "app.sock");
  const storage = join(folder, "paddock");
  const root = join(storage, "ca/root.pem");
  const [http, https, admin] = [await freePort(8080), await freePort(8443), await freePort(9145)];
  const reason = await missing();
  const app = reason === null ? await startDjango(socket, https) : startFallback(socket, reason);
  const configuration = {
    storage,
    workers: 2,
    listen: { http: [`127.0.0.1:${http}`], https: [`127.0.0.1:${https}`] },
    admin: { listen: `127.0.0.1:${admin}`, socket: join(folder, "control.sock") },
    log: { format: "pretty" },
    issuers: [{ local: true }],
    sites: [{ names: ["localhost"], upstream: `unix:${socket}`, static: app.static }],
  };
  const file = join(folder, "paddock.yaml");
  // JSON is YAML.
  writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`);
  start(join(ROOT, "bin/paddock"), ["run", "--config", file], { cwd: folder });

  const latest = Date.now() + START;
  for (;;) {
    if (ending !== null) return;
    const status = await answer(https, root);
    if (status !== null && status < 500) break;
    if (Date.now() > latest)
      throw new Error(`https did not answer within ${START / 1000} s (last: ${status ?? "no answer"})`);
    await wait(100);
  }
  process.stdout.write(
    [
      "",
      `Paddock is in front of ${app.title}${app.note === undefined ? "" : `: ${app.note}`}`,
      "",
      `  site         https://localhost:${https}/`,
      `  proof        curl --cacert ${root} https://localhost:${https}/`,
      `  status page  http://127.0.0.1:${admin}/`,
      "",
      "Ctrl-C ends all of it.",
      "",
    ].join("\n"),
  );
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end());
try {
  await demo();
} catch (error) {
  if (ending === null) await fail(error instanceof Error ? error.message : String(error));
}
