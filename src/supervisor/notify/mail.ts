import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { NotifyConfiguration } from "../../config/configuration.ts";
import { PaddockError, systemErrorCode } from "../../errors.ts";
import type { Message } from "./message.ts";

/** Milliseconds; a mail program only has to put it into a queue. */
const TIMEOUT = 30_000;
/** Milliseconds from a failure to the end of its complaint. */
const LAST_WORDS = 500;
/** Characters of what the program says that go into the error. */
const LONGEST_COMPLAINT = 300;

type MailConfiguration = NonNullable<NotifyConfiguration["mail"]>;

/**
 * Hands the message to the mail program: no shell, nothing of the daemon's environment, a time limit that ends
 * whatever it started as well.
 *
 * @throws PaddockError `notify.mail`
 */
export async function sendMail(
  { command, to, from }: MailConfiguration,
  message: Message,
  context: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  const [program, ...args] = command;
  const complaint = await run(program, args, mailText({ to, from }, message), context);
  if (complaint === null) return;
  throw new PaddockError("notify.mail", `${program} did not take the mail: ${complaint}`, {
    fix: "Check notify.mail, then run `paddock certs notify-test`.",
  });
}

/** RFC 5322; RFC 3834 §5 keeps holiday answers from coming back. */
export function mailText({ to, from }: Pick<MailConfiguration, "to" | "from">, message: Message): string {
  const fields = [
    `Date: ${new Date(message.at).toUTCString().replace("GMT", "+0000")}`,
    ...(from === null ? [] : [`From: Paddock <${from}>`]),
    `To: ${to.join(", ")}`,
    `Subject: ${message.subject}`,
    `Message-ID: <${randomUUID()}@paddock.invalid>`,
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
  ];
  return `${fields.join("\n")}\n\n${message.text}\n`;
}

/** Null when it ended with 0, else what it complained of. */
function run(
  program: string,
  args: string[],
  input: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: "/",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
      stdio: ["pipe", "ignore", "pipe"],
      // A process group of its own, so that what it starts can be ended with it.
      detached: true,
    });
    let said = "";
    let ended: string | null = null;
    const end = (why: string): void => {
      ended = why;
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has gone by itself.
      }
    };
    const timer = clock.setTimer(TIMEOUT, () => end(`it took longer than ${TIMEOUT / 1000} seconds`));
    const abort = (): void => end("the daemon ends");
    signal.addEventListener("abort", abort, { once: true });
    const done = (complaint: string | null): void => {
      timer.cancel();
      signal.removeEventListener("abort", abort);
      resolve(complaint);
    };
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (said.length < LONGEST_COMPLAINT) said += text;
    });
    child.on("error", (error) => done(systemErrorCode(error) ?? error.message));
    const fail = (code: number | null, killed: string | null): void => {
      const words = said.trim().replaceAll(/\s+/g, " ").slice(0, LONGEST_COMPLAINT);
      done([ended ?? killed ?? `exit code ${code}`, words].filter((part) => part !== "").join(", "));
    };
    child.on("exit", (code, killed) => {
      // Not "close": a program that left something running in the background has done its work.
      if (code === 0) return done(null);
      // What it said may still be on its way.
      child.on("close", () => fail(code, killed));
      setTimeout(() => fail(code, killed), LAST_WORDS).unref();
    });
    // A program that does not read to the end says so by its exit code.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}
