/** Uvicorn with a small ASGI app, from Debian's packages. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

export interface Uvicorn {
  stop(): Promise<void>;
}

/** On a Unix socket; `gunicorn` runs it as Gunicorn's worker class. */
export async function startUvicorn(options: { socket: string; gunicorn?: boolean }): Promise<Uvicorn> {
  const { socket, gunicorn } = options;
  const program =
    gunicorn === true
      ? ["gunicorn", "-k", "uvicorn.workers.UvicornWorker", "--workers", "1", "--bind", `unix:${socket}`]
      : ["uvicorn", "--uds", socket];
  const child = spawn("/usr/bin/python3", ["-m", ...program, "asgi_app:app"], {
    cwd: import.meta.dirname,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, so that Gunicorn's workers can be ended with it.
    detached: true,
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (log += text));
  const end = Date.now() + 20_000;
  while (!log.includes("Application startup complete")) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`Uvicorn did not start:\n${log}`);
    await sleep(50);
  }
  return {
    stop: async () => {
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      await exit;
      try {
        process.kill(-(child.pid as number), "SIGKILL");
      } catch {
        // All of the group are gone already.
      }
      // A process of the app's own may hold the pipes for longer.
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}
