import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where Debian and Red Hat keep programs for root, which a user's PATH may lack. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/** Milliseconds; update-ca-certificates takes seconds. */
const PATIENCE = 60_000;

export interface ProgramResult {
  /** Null where it was ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The path of a program, or null where there is none. */
export function findProgram(name: string, environment: NodeJS.ProcessEnv): string | null {
  const folders = [...(environment["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS];
  for (const folder of folders) {
    if (!folder.startsWith("/")) continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not in this one.
    }
  }
  return null;
}

/**
 * Runs a program without a shell; what it may not find is code 127, as a shell would say.
 *
 * @param options.as the user and group that it runs as, without any other group.
 */
export function runProgram(
  name: string,
  argv: readonly string[],
  options: {
    readonly environment: NodeJS.ProcessEnv;
    readonly input?: string;
    readonly as?: { readonly uid: number; readonly gid: number } | null;
    readonly home?: string;
  },
): Promise<ProgramResult> {
  const path = findProgram(name, options.environment);
  if (path === null) return Promise.resolve({ code: 127, stdout: "", stderr: `${name} is not installed` });
  const { promise, resolve } = Promise.withResolvers<ProgramResult>();
  const child = spawn(path, argv, {
    stdio: ["pipe", "pipe", "pipe"],
    timeout: PATIENCE,
    // C: what certutil says is read.
    env: { PATH: SYSTEM_FOLDERS.join(delimiter), LC_ALL: "C", HOME: options.home ?? "/" },
    ...options.as,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // A program that ends before it has read its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  child.on("error", (error) => resolve({ code: 126, stdout, stderr: error.message }));
  child.on("close", (code) => resolve({ code, stdout, stderr }));
  return promise;
}

/** The last line of what a program complained of, for a sentence. */
export function complaint({ code, stderr }: ProgramResult): string {
  const line = stderr.trim().split("\n").at(-1) ?? "";
  return line === "" ? `it ended with code ${code ?? "none"}` : line;
}
