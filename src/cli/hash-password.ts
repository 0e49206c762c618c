import { argon2, randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { promisify } from "node:util";
import { formatPasswordHash } from "../config/password-hash.ts";
import { PaddockError } from "../errors.ts";
import type { Command } from "./command.ts";
import { readArguments } from "./usage.ts";

const usage = "hash-password";

/** RFC 9106 section 4 has two; this is the second one's strength in OWASP's form for servers: 19 MiB, two passes. */
const COST = { memory: 19 * 1024, passes: 2, parallelism: 1 };

export const hashPasswordCommand: Command = {
  usage,
  summary: "read a password from the terminal or from standard input; print its hash for basicAuth",
  async run(args) {
    readArguments(args, usage, {});
    const password = await readPassword();
    if (password === "") throw new PaddockError("ERR_NO_PASSWORD", "the password is empty");
    const salt = randomBytes(16);
    const tag = await promisify(argon2)("argon2id", {
      message: Buffer.from(password),
      nonce: salt,
      tagLength: 32,
      ...COST,
    });
    process.stdout.write(`${formatPasswordHash({ ...COST, salt, tag })}\n`);
    return 0;
  },
};

/** The first line; on a terminal it is asked for, and not shown. */
async function readPassword(): Promise<string> {
  const terminal = process.stdin.isTTY;
  if (terminal) process.stderr.write("Password: ");
  // readline echoes what is typed to its output; this one keeps it to itself.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal });
  try {
    for await (const line of lines) return line;
    return "";
  } finally {
    lines.close();
    if (terminal) process.stderr.write("\n");
  }
}
