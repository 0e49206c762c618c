/** An app that answers early and closes, in a process of its own: its close has to come while ours does not look. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The body of each of its answers. */
export const EARLY_BODY = "early ".repeat(4000);

export interface EarlyApp {
  /** Blocks this process until the app has answered and closed for the `count`th time. */
  waitForClose(count: number): void;
  stop(): Promise<void>;
}

/** `where`: `unix:PATH` or a port of 127.0.0.1. `log`: a file that is there and empty. */
export function startEarlyApp(where: string, log: string): EarlyApp {
  const output = openSync(log, "a");
  const child = spawn("/usr/bin/python3", [join(import.meta.dirname, "early_app.py"), where], {
    stdio: ["ignore", output, "inherit"],
  });
  closeSync(output);
  const lines = (word: string): number => readFileSync(log, "utf8").split(`${word}\n`).length - 1;
  const block = (milliseconds: number): void =>
    void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  const wait = (word: string, count: number): void => {
    const end = Date.now() + 20_000;
    while (lines(word) < count) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`the early app is not ${word}`);
      block(2);
    }
    // The line is written behind the close.
    block(5);
  };
  wait("ready", 1);
  return {
    waitForClose: (count) => wait("closed", count),
    stop: async () => {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
  };
}
