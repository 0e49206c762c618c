import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { freePorts } from "../parts/pebble.ts";

const COMMAND = resolve(import.meta.dirname, "../../bin/paddock");

test("takes its sockets from systemd, and the first connection waits for it to start", async () => {
  const folder = await mkdtemp(join(tmpdir(), "paddock-activated-"));
  const [http, https] = (await freePorts(2)) as [number, number];
  await writeFile(
    join(folder, "paddock.yaml"),
    `storage: ${folder}/store
workers: 2
listen: { http: ["fd:http"], https: ["fd:https"] }
admin: { listen: false, socket: ${folder}/control.sock }
issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock" }]
`,
  );
  const activator = spawn(
    "systemd-socket-activate",
    ["-l", `127.0.0.1:${http}`, "-l", `127.0.0.1:${https}`, "--fdname=http:https", COMMAND, "run"].concat([
      "--config",
      join(folder, "paddock.yaml"),
    ]),
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  try {
    let said = "";
    activator.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    while (!said.includes(`:${https} `)) await once(activator.stderr, "data");
    for (let count = 0; count < 10; count++) {
      const answer = await fetch(`http://127.0.0.1:${http}/`, {
        headers: { connection: "close" },
        redirect: "manual",
        signal: AbortSignal.timeout(30_000),
      });
      // No site is called 127.0.0.1, and fetch lets nobody set Host: that it answers is what is asked here.
      assert.equal(answer.status, 421);
    }
  } finally {
    const exit = once(activator, "exit");
    activator.kill("SIGTERM");
    await exit;
    await rm(folder, { recursive: true, force: true });
  }
  assert.equal(activator.exitCode, 0);
});
