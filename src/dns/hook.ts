import { spawn, type ChildProcess } from "node:child_process";
import { messageOf, PaddockError } from "../errors.ts";

/** So much of what the program writes to its standard error goes into the error, bytes; the end of it. */
const KEPT = 1000;
/** A child of the program may keep its standard error open when the program itself has gone, milliseconds. */
const LAST_WORDS = 500;

export interface HookOptions {
  /** Absolute path. */
  readonly program: string;
  /** For one run, milliseconds. */
  readonly timeout: number;
}

/** One run at a time. */
export class HookTurns {
  #last: Promise<unknown> = Promise.resolve();

  async take(run: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(run);
    this.#last = turn.catch(() => {});
    await turn;
  }
}

/**
 * The operator's program that changes the DNS: `PROGRAM present NAME VALUE` adds a TXT record, `PROGRAM cleanup NAME
 * VALUE` takes that one away again. Exit code 0 is success.
 *
 * It runs without a shell and gets no environment but PATH, HOME and LANG, in `/`, with a standard input that is empty
 * and a standard output that nobody reads. One at a time: most of these programs read, change and write a zone, and two
 * of them at once would lose a record (a name and its wildcard have two values at one name).
 */
export class DnsHook {
  readonly #program: string;
  readonly #timeout: number;
  readonly #turns: HookTurns;

  /** @param turns shared by all hooks of the daemon: after a reload the one before may still be at work. */
  constructor({ program, timeout }: HookOptions, turns: HookTurns) {
    this.#program = program;
    this.#timeout = timeout;
    this.#turns = turns;
  }

  /**
   * Resolves when the program has ended well. Where `signal` is aborted, it is killed with all that it has started.
   *
   * @throws PaddockError `dns.hook-failed` with what it wrote to its standard error; the signal's reason when aborted.
   */
  async run(action: "present" | "cleanup", name: string, value: string, signal: AbortSignal): Promise<void> {
    await this.#turns.take(async () => {
      signal.throwIfAborted();
      await this.#runNow([action, name, value], signal);
    });
  }

  async #runNow(argv: readonly string[], signal: AbortSignal): Promise<void> {
    const { PATH = "/usr/local/bin:/usr/bin:/bin", HOME = "/" } = process.env;
    const child = spawn(this.#program, argv, {
      cwd: "/",
      env: { PATH, HOME, LANG: "C.UTF-8" },
      stdio: ["ignore", "ignore", "pipe"],
      // A process group of its own, so that what it started can be ended with it.
      detached: true,
    });
    let words = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (words = (words + text).slice(-KEPT)));
    const late = AbortSignal.timeout(this.#timeout);
    const kill = (): void => killGroup(child);
    for (const end of [late, signal]) end.addEventListener("abort", kill, { once: true });
    try {
      const outcome = await ended(child);
      signal.throwIfAborted();
      if (late.aborted) throw this.#failure(argv, `did not end within ${this.#timeout / 1000} s`, words);
      if (outcome !== null) throw this.#failure(argv, outcome, words);
    } finally {
      for (const end of [late, signal]) end.removeEventListener("abort", kill);
    }
  }

  #failure(argv: readonly string[], what: string, words: string): PaddockError {
    const said = words.replace(/[\x00-\x1f\x7f]+/g, " ").trim();
    const [action = "", name = ""] = argv;
    return new PaddockError(
      "dns.hook-failed",
      `dns.hook ${this.#program} ${action} ${name} ${what}${said === "" ? ", and said nothing" : `: ${said}`}`,
      { fix: "Run it by hand as Paddock's user, with PATH, HOME and LANG alone in its environment." },
    );
  }
}

/** Null where it ended well, else how it ended. */
async function ended(child: ChildProcess): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  child.on("error", (error) => resolve(`could not be started (${messageOf(error)})`));
  child.on("exit", (code, killer) => {
    const how =
      code === 0 ? null : code === null ? `was ended by ${String(killer)}` : `ended with code ${code}`;
    const timer = setTimeout(() => {
      child.stderr?.destroy();
      resolve(how);
    }, LAST_WORDS);
    child.on("close", () => {
      clearTimeout(timer);
      resolve(how);
    });
  });
  return await promise;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended in this moment.
  }
}
