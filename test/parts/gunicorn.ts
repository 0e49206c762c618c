/** Gunicorn with a Django site, from Debian's packages. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const PYTHON = "/usr/bin/python3";

export interface Gunicorn {
  stop(): Promise<void>;
}

/** Starts the tests' Django site on a Unix socket. `folder` gets its database. */
export async function startGunicorn(options: {
  folder: string;
  socket: string;
  workerClass: "sync" | "gthread";
  /** The database is there from a start before. */
  prepared?: boolean;
  /** Further arguments. */
  more?: readonly string[];
  /** ALLOWED_HOSTS, separated by commas; app.test unless given. */
  hosts?: string;
}): Promise<Gunicorn> {
  const { folder, socket, workerClass } = options;
  const environment = {
    ...process.env,
    SITE_DATABASE: `${folder}/site.sqlite3`,
    PYTHONDONTWRITEBYTECODE: "1",
    SITE_HOSTS: options.hosts ?? "app.test",
  };
  const at = { cwd: import.meta.dirname, env: environment };
  if (options.prepared !== true)
    await promisify(execFile)(PYTHON, ["-c", "import django_site; django_site.prepare()"], at);
  const threads = workerClass === "gthread" ? ["--threads", "4", "--keep-alive", "5"] : [];
  const child = spawn(
    PYTHON,
    [
      "-m",
      "gunicorn",
      "--worker-class",
      workerClass,
      "--workers",
      "2",
      ...threads,
      ...(options.more ?? []),
      "--bind",
      `unix:${socket}`,
      "django_site:application",
    ],
    { ...at, stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const end = Date.now() + 20_000;
  while (!existsSync(socket) || !log.includes("Booting worker")) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`Gunicorn did not start:\n${log}`);
    await sleep(50);
  }
  return {
    stop: async () => {
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      await exit;
    },
  };
}
