import { ConfigurationError, formatProblem } from "../config/problem.ts";
import type { Configuration } from "../config/configuration.ts";
import { messageOf } from "../errors.ts";
import { Supervisor } from "../supervisor/supervisor.ts";

/** Runs the daemon in the foreground until a signal ends it; returns the exit code. */
export async function runDaemon(
  load: () => Configuration,
  started?: (supervisor: Supervisor) => void,
): Promise<number> {
  let supervisor: Supervisor;
  try {
    supervisor = new Supervisor(load);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${formatProblem(problem)}\n`);
    return 1;
  }
  // A daemon does not die of what nobody thought of: it is logged, and the next request goes on.
  process.on("unhandledRejection", (reason) =>
    process.stderr.write(`paddock: unhandled: ${messageOf(reason)}\n`),
  );
  process.on("SIGHUP", () => {
    supervisor.reload().catch(() => undefined);
  });
  const ended = new Promise<number>((resolve, reject) => {
    let asked = false;
    const end = (): void => {
      if (asked) {
        supervisor.kill();
        process.exit(1);
      }
      asked = true;
      supervisor.stop().then(() => resolve(0), reject);
    };
    process.on("SIGTERM", end);
    process.on("SIGINT", end);
  });
  try {
    await supervisor.start();
  } catch (error) {
    supervisor.kill();
    await supervisor.stop().catch(() => undefined);
    throw error;
  }
  started?.(supervisor);
  const code = await ended;
  // Timers of requests to a CA that is being slow must not hold the process.
  process.exit(code);
}
