import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const DEMO = fileURLToPath(new URL("../examples/demo.ts", import.meta.url));
// A proxy of the environment must not get between curl and loopback.
const ENVIRONMENT = { ...process.env, NO_PROXY: "*", no_proxy: "*" };

/** Ids of the processes whose command line names the folder. */
function processesOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
      } catch {
        return false; // It has ended meanwhile.
      }
    })
    .map(Number);
}

void test("the demo serves, proves itself with its curl line, and leaves nothing behind", {
  timeout: 180_000,
}, async (t) => {
  const demo = spawn(process.execPath, [DEMO], { env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(demo, "exit");
  t.after(async () => {
    if (demo.exitCode !== null || demo.signalCode !== null) return;
    demo.kill("SIGTERM");
    await exited;
  });
  let told = "";
  demo.stderr.on("data", (data) => (told += String(data)));
  const lines = createInterface({ input: demo.stdout });
  const found = new Map<string, string>();
  for await (const line of lines) {
    told += `${line}\n`;
    const match = /^ {2}(site|proof|status page) +(.+)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) found.set(match[1], match[2]);
    if (line.startsWith("Ctrl-C")) break;
  }
  demo.stdout.resume();
  const [site, proof, status] = [found.get("site"), found.get("proof"), found.get("status page")];
  assert.ok(site !== undefined && proof !== undefined && status !== undefined, told);
  assert.match(site, /^https:\/\/localhost:\d+\/$/);

  const root = / --cacert (\S+) /.exec(proof)?.[1];
  assert.ok(root !== undefined, proof);
  const folder = dirname(dirname(dirname(root)));
  const { stdout } = await promisify(execFile)(
    "/bin/sh",
    ["-c", `${proof} --silent --show-error --max-time 10`],
    {
      env: ENVIRONMENT,
    },
  );
  assert.notEqual(stdout, "");
  assert.equal((await fetch(status)).status, 200);
  assert.ok(processesOf(folder).length >= 2, "the app and the gate are running");

  demo.kill("SIGINT");
  const [code] = (await Promise.race([
    exited,
    wait(40_000, ["not within 40 s"], { ref: false }),
  ])) as unknown[];
  assert.equal(code, 0, told);
  assert.deepEqual(processesOf(folder), [], "processes are left");
  assert.equal(existsSync(folder), false, `${folder} is left`);
});
