/** A hook of dns-01 as an operator would write it, for pebble-challtestsrv: a shell script that calls its API. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pebble } from "./pebble.ts";

export class TestHook {
  readonly program: string;
  readonly #calls: string;

  /** @param before lines that the script begins with; `exit 1` in them makes it fail. */
  static async write(folder: string, pebble: Pebble, before = ""): Promise<TestHook> {
    const hook = new TestHook(folder);
    await hook.rewrite(pebble, before);
    return hook;
  }

  private constructor(folder: string) {
    this.program = join(folder, "dns-hook");
    this.#calls = join(folder, "dns-hook.calls");
  }

  /**
   * pebble-challtestsrv forgets all values of a name at once, so the script remembers what it has presented, and lets
   * it forget the name when the last one is cleaned up.
   */
  async rewrite(pebble: Pebble, before = ""): Promise<void> {
    const script = `#!/bin/sh
set -eu
action=$1 name=$2 value=$3
echo "$action $name $value" >> ${this.#calls}
${before}
values=${this.#calls}.$name
call() { curl --silent --fail --max-time 5 --output /dev/null --data "$2" ${pebble.dnsManagementUrl}/$1; }
case $action in
  present)
    echo "$value" >> "$values"
    call set-txt "{\\"host\\":\\"$name.\\",\\"value\\":\\"$value\\"}"
    ;;
  cleanup)
    grep -vxF -e "$value" "$values" > "$values.new" || true
    mv "$values.new" "$values"
    test -s "$values" || call clear-txt "{\\"host\\":\\"$name.\\"}"
    ;;
esac
`;
    await writeFile(this.program, script, { mode: 0o755 });
  }

  /** `action name value`, in order. */
  async calls(): Promise<string[]> {
    const text = await readFile(this.#calls, "utf8").catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  }

  /** Names to which as many values were cleaned up as were presented. */
  async balance(): Promise<{ presented: string[]; cleaned: string[] }> {
    const calls = await this.calls();
    const of = (action: string): string[] =>
      calls
        .filter((line) => line.startsWith(`${action} `))
        .map((line) => line.slice(action.length + 1))
        .sort();
    return { presented: of("present"), cleaned: of("cleanup") };
  }
}
