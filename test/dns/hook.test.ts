/** The operator's program: how it is called, how it fails, how it is ended. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DnsHook, HookTurns } from "../../src/dns/hook.ts";
import { PaddockError } from "../../src/errors.ts";

const never = new AbortController().signal;

void describe("the hook of dns-01", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "paddock-hook-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function hook(script: string, timeout = 10_000): Promise<DnsHook> {
    const program = join(folder, `hook-${Math.random().toString(36).slice(2)}`);
    await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return new DnsHook({ program, timeout }, new HookTurns());
  }

  async function failure(running: Promise<void>): Promise<PaddockError> {
    try {
      await running;
    } catch (error) {
      assert.ok(error instanceof PaddockError, String(error));
      assert.equal(error.code, "dns.hook-failed");
      return error;
    }
    return assert.fail("it ended well");
  }

  const alive = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };

  void it("gets its words as arguments, without a shell, and no environment but three variables", async () => {
    process.env["PADDOCK_TEST_SECRET"] = "secret";
    const seen = join(folder, "seen");
    const program = await hook(
      `printf '%s\\n' "$#" "$@" > ${seen}; env >> ${seen}; pwd >> ${seen}; cat >> ${seen}`,
    );
    await program.run("present", "_acme-challenge.a.example", "-va;lue$(id)", never);
    delete process.env["PADDOCK_TEST_SECRET"];
    const lines = (await readFile(seen, "utf8")).trimEnd().split("\n");
    assert.deepEqual(lines.slice(0, 4), ["3", "present", "_acme-challenge.a.example", "-va;lue$(id)"]);
    // The shell of this script adds PWD, and some SHLVL and _, by itself.
    const names = lines.slice(4, -1).map((line) => line.split("=")[0] ?? "");
    assert.deepEqual(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name)).sort(), [
      "HOME",
      "LANG",
      "PATH",
    ]);
    assert.equal(lines.at(-1), "/");
  });

  void it("fails with its code and the end of what it wrote to its standard error", async () => {
    const failing = await hook(
      "head -c 5000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'the API said: 403' >&2; exit 7",
    );
    const error = await failure(failing.run("present", "_acme-challenge.a.example", "v", never));
    assert.match(
      error.message,
      /present _acme-challenge\.a\.example ended with code 7: x+ the API said: 403$/,
    );
    assert.ok(error.message.length < 2500, "bounded");
    assert.match(error.fix ?? "", /by hand/);
    const mute = await failure((await hook("kill -TERM $$")).run("cleanup", "n", "v", never));
    assert.match(mute.message, /was ended by SIGTERM, and said nothing$/);
  });

  void it("that cannot be started says why", async () => {
    const absent = new DnsHook({ program: join(folder, "absent"), timeout: 1000 }, new HookTurns());
    const error = await failure(absent.run("present", "n", "v", never));
    assert.match(error.message, /could not be started \(spawn .* ENOENT\)/);
  });

  void it("that hangs is killed with all that it has started", async () => {
    const pids = join(folder, "pids");
    const hanging = await hook(`sleep 600 & echo $! > ${pids}; echo "waiting for the API" >&2; wait`, 500);
    const error = await failure(hanging.run("present", "n", "v", never));
    assert.match(error.message, /did not end within 0\.5 s: waiting for the API$/);
    const pid = Number(await readFile(pids, "utf8"));
    assert.ok(pid > 0);
    // Reaped by init, a moment later.
    for (let round = 0; alive(pid) && round < 200; round += 1) {
      if ((await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "Z")).includes(" Z ")) break;
      await sleep(10);
    }
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "gone Z ");
    assert.match(state, / Z |^gone/, "neither runs nor sleeps");
  });

  void it("is killed when the order is aborted, and the abort is what is told", async () => {
    const ending = new AbortController();
    const ready = join(folder, "ready");
    const hanging = await hook(`echo > ${ready}; sleep 600`);
    const running = hanging.run("present", "n", "v", ending.signal);
    while ((await readFile(ready, "utf8").catch(() => "")) === "") await sleep(10);
    ending.abort(new Error("shutting down"));
    await assert.rejects(running, /shutting down/);
  });

  void it("does not wait for a child that keeps its standard error open", async () => {
    const pids = join(folder, "background");
    await (await hook(`sleep 600 >&2 & echo $! > ${pids}; exit 0`)).run("present", "n", "v", never);
    process.kill(Number(await readFile(pids, "utf8")), "SIGKILL");
  });

  void it("runs once at a time, also where two configurations have one each, and goes on after a failure", async () => {
    const turns = new HookTurns();
    const log = join(folder, "turns");
    const program = join(folder, "turn-taking");
    await writeFile(
      program,
      `#!/bin/sh\necho "+$3" >> ${log}; sleep 0.1; echo "-$3" >> ${log}; test "$3" != 1\n`,
      {
        mode: 0o755,
      },
    );
    const [one, two] = [1, 2].map(() => new DnsHook({ program, timeout: 10_000 }, turns)) as [
      DnsHook,
      DnsHook,
    ];
    await Promise.allSettled([
      one.run("present", "n", "1", never),
      two.run("present", "n", "2", never),
      one.run("present", "n", "3", never),
    ]);
    assert.deepEqual((await readFile(log, "utf8")).trimEnd().split("\n"), [
      "+1",
      "-1",
      "+2",
      "-2",
      "+3",
      "-3",
    ]);
  });
});
