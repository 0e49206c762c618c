import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
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

/** Runs the demo up to its last line, uses what it printed, and ends it by Ctrl-C. */
async function runDemo(
  t: TestContext,
  env: NodeJS.ProcessEnv,
  use: (told: string, curl: (path: string, ...options: string[]) => Promise<string>) => Promise<void>,
): Promise<void> {
  const demo = spawn(process.execPath, [DEMO], { env, stdio: ["ignore", "pipe", "pipe"] });
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
  const curl = async (path: string, ...options: string[]): Promise<string> => {
    // As it was printed, word for word, but for the path.
    const line = `${proof}${path} ${["--silent", "--show-error", "--fail", "--max-time 10", ...options].join(" ")}`;
    return (await promisify(execFile)("/bin/sh", ["-c", line], { env })).stdout;
  };
  await use(told, curl);
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
}

void test("the demo serves Django, proves itself with its curl line, and leaves nothing behind", {
  timeout: 180_000,
}, async (t) => {
  await runDemo(t, ENVIRONMENT, async (told, curl) => {
    assert.match(told, /Paddock is in front of Django under Gunicorn/);
    assert.match(await curl(""), /<html/);
    assert.notEqual(await curl("static/gate/site.css"), "");
  });
});

void test("where Gunicorn is missing the demo says so and serves a built-in app, and leaves nothing behind", {
  timeout: 180_000,
}, async (t) => {
  // What the interpreter says of a package that is not installed, without taking it from the machine.
  const modules = mkdtempSync(join(tmpdir(), "paddock-no-gunicorn-"));
  t.after(() => rmSync(modules, { recursive: true }));
  writeFileSync(join(modules, "gunicorn.py"), "raise ModuleNotFoundError('no gunicorn here')\n");
  await runDemo(t, { ...ENVIRONMENT, PYTHONPATH: modules }, async (told, curl) => {
    assert.match(
      told,
      /in front of the built-in app: .*not installed \(sudo apt-get install gunicorn python3-django\)/,
    );
    assert.match(await curl("a?b=c"), /GET \/a\?b=c\nhost: localhost:\d+\nx-forwarded-for: 127\.0\.0\.1\n/);
    assert.match(await curl("static/hello.txt"), /not from the app/);
    writeFileSync(join(modules, "upload"), Buffer.alloc(5_000_000));
    assert.match(await curl("", "--data-binary", `@${modules}/upload`), /\nbody: 5000000 bytes\n/);
  });
});
