import { PaddockError, messageOf } from "../errors.ts";
import { VERSION } from "../version.ts";
import { certsCommand } from "./certs.ts";
import { checkCommand } from "./check.ts";
import { devCommand } from "./dev.ts";
import { hashPasswordCommand } from "./hash-password.ts";
import { maintenanceCommand } from "./maintenance.ts";
import { purgeCommand } from "./purge.ts";
import { reloadCommand } from "./reload.ts";
import { runDaemonCommand } from "./run.ts";
import { statusCommand } from "./status.ts";
import { trustCommand } from "./trust.ts";
import { UsageError } from "./usage.ts";

/** One subcommand: returns the exit code. 0 done, 1 the answer is no, 2 wrong usage, 3 no daemon. */
export interface Command {
  readonly usage: string;
  readonly summary: string;
  /** Commands below it, each with a word of its own. */
  readonly words?: Readonly<Record<string, Command>>;
  run(args: readonly string[]): Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  run: runDaemonCommand,
  check: checkCommand,
  dev: devCommand,
  reload: reloadCommand,
  status: statusCommand,
  certs: certsCommand,
  purge: purgeCommand,
  "hash-password": hashPasswordCommand,
  maintenance: maintenanceCommand,
  trust: trustCommand,
};

export async function runCommand(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === "--version") return say(`paddock ${VERSION}`);
  if (name === "--help" || name === "-h" || name === "help") return say(help());
  const command = name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    process.stderr.write(
      name === undefined ? `${help()}\n` : `paddock: there is no command "${name}"; see paddock --help\n`,
    );
    return 2;
  }
  if (rest.includes("--help")) {
    const [word = ""] = rest;
    const words = command.words ?? {};
    const { usage, summary } = Object.hasOwn(words, word) ? (words[word] ?? command) : command;
    return say(`usage: paddock ${usage}\n\n${summary}`);
  }
  try {
    return await command.run(rest);
  } catch (error) {
    const fix = error instanceof PaddockError && error.fix !== undefined ? `; ${error.fix}` : "";
    process.stderr.write(`paddock: ${messageOf(error)}${fix}\n`);
    if (error instanceof UsageError) return 2;
    return error instanceof PaddockError && error.code === "ERR_UNREACHABLE" ? 3 : 1;
  }
}

function say(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

function help(): string {
  const lines = Object.values(COMMANDS).map(({ usage, summary }) => `  paddock ${usage}\n        ${summary}`);
  return `Paddock, the front gate for Gunicorn: HTTPS with certificates that renew themselves.\n\n${lines.join("\n")}\n  paddock --version | --help | COMMAND --help`;
}
