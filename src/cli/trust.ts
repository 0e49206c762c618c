import { join, resolve } from "node:path";
import type { Command } from "./command.ts";
import { commandConfiguration, CONFIG_OPTION } from "./configuration.ts";
import { invokingUser } from "./trust/invoking-user.ts";
import { changeNssStores } from "./trust/nss-stores.ts";
import { outcomeLine } from "./trust/outcome.ts";
import { changeSystemStore } from "./trust/system-store.ts";
import { readRoot } from "./trust/trusted-root.ts";
import { readArguments } from "./usage.ts";

const usage = "trust [--uninstall] [--root FILE] [--config FILE]";

export const trustCommand: Command = {
  usage,
  summary:
    "put the embedded CA's root into the system store and into the browsers' of the user who calls; or remove it",
  async run(args) {
    const { values } = readArguments(args, usage, {
      ...CONFIG_OPTION,
      root: { type: "string" },
      uninstall: { type: "boolean" },
    });
    const path =
      values.root === undefined
        ? join(commandConfiguration(values.config).storage, "ca/root.pem")
        : resolve(values.root);
    const root = await readRoot(path);
    const action = values.uninstall === true ? "uninstall" : "install";
    const { env } = process;
    const outcomes = [
      await changeSystemStore(root, action, env),
      ...(await changeNssStores(root, action, await invokingUser(env), env)),
    ];
    for (const outcome of outcomes)
      (outcome.state === "failed" ? process.stderr : process.stdout).write(`${outcomeLine(outcome)}\n`);
    if (outcomes.length === 1)
      process.stdout.write("browsers: none of this user has a store of its own here\n");
    const changed = outcomes.some(({ state }) => state === "added" || state === "removed");
    if (changed) process.stdout.write("programs that run already may have to be started anew\n");
    return outcomes.some(({ state }) => state === "failed") ? 1 : 0;
  },
};
