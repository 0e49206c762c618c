import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

const paddock = join(import.meta.dirname, "../../bin/paddock");

/** systemd's end of the socket: prints the sender's process id, as the kernel vouches for it, and the notice. */
const RECEIVER = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
print("listening", flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, 1024)
    print(struct.unpack("3i", ancillary[0][2])[0], data.decode().replace("\\n", " "), flush=True)
`;

void test("READY and STOPPING come from the main process, the only one that systemd listens to", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "paddock-notify-"));
  const socket = join(folder, "notify");
  const receiver = spawn("/usr/bin/python3", ["-c", RECEIVER, socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const notices = createInterface(receiver.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await notices.next()).value);
  assert.equal(await next(), "listening");
  const daemon = spawn(paddock, ["run"], {
    cwd: folder,
    stdio: "ignore",
    env: {
      PATH: process.env["PATH"],
      NOTIFY_SOCKET: socket,
      PADDOCK_NAMES: "app.test",
      PADDOCK_UPSTREAM: "unix:app.sock",
      PADDOCK_ISSUER: "local",
      PADDOCK_STORAGE: "storage",
      PADDOCK_WORKERS: "1",
      PADDOCK_LISTEN_HTTP: "127.0.0.1:0",
      PADDOCK_LISTEN_HTTPS: "127.0.0.1:0",
      PADDOCK_ADMIN_LISTEN: "127.0.0.1:0",
      PADDOCK_ADMIN_SOCKET: "control.sock",
    },
  });
  const ended = once(daemon, "exit");
  t.after(() => {
    daemon.kill("SIGKILL");
    receiver.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  assert.match(await next(), new RegExp(`^${daemon.pid} READY=1`));
  daemon.kill("SIGTERM");
  assert.match(await next(), new RegExp(`^${daemon.pid} STOPPING=1`));
  assert.deepEqual(await ended, [0, null]);
});
