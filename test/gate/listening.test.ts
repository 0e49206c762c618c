import assert from "node:assert/strict";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { startApp, type App } from "../parts/app.ts";
import { Paddock, runPaddock } from "../parts/paddock.ts";
import { freePorts } from "../parts/pebble.ts";

describe("listening sockets", () => {
  let paddock: Paddock;
  let app: App;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
    });
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    await paddock.stop();
    await app.stop();
  });

  const workers = async (): Promise<number[]> =>
    (
      JSON.parse((await paddock.command("status", "--json")).stdout) as { workers: { pid: number }[] }
    ).workers.map(({ pid }) => pid);

  /** Established connections from clients, which are the TLS ones of this test. */
  async function share(count: number): Promise<number[]> {
    const before = (await workers()).map(descriptors);
    const sockets = await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = connectTls({
          host: "127.0.0.1",
          port: paddock.httpsPort,
          servername: "app.test",
          rejectUnauthorized: false,
        });
        await once(socket, "secureConnect");
        return socket;
      }),
    );
    const now = (await workers()).map(descriptors);
    for (const socket of sockets) socket.destroy();
    return now.map((descriptor, place) => descriptor - (before[place] as number));
  }

  test("workers share connections within a factor of two", async () => {
    const counts = await share(300);
    assert.equal(counts.length, 2);
    const [low, high] = [Math.min(...counts), Math.max(...counts)];
    assert.ok(low > 0 && high <= 2 * low, `connections: ${counts.join(" and ")}`);
  });

  test("what a dead worker's socket holds is accepted by another", async () => {
    const [first, second] = (await workers()) as [number, number];
    // The first stands still, so that its share of the connections waits in the kernel; then it dies.
    process.kill(first, "SIGSTOP");
    const asked = Array.from({ length: 20 }, () => connect(paddock.httpPort, "127.0.0.1"));
    await Promise.all(asked.map((socket) => once(socket, "connect")));
    const answers = asked.map((socket) => answer(socket));
    process.kill(first, "SIGKILL");
    for (const text of await Promise.all(answers)) assert.match(text, /^HTTP\/1\.1 301 /);
    await paddock.until("another worker", async () => {
      const now = await workers();
      return now.length === 2 && !now.includes(first) && now.includes(second);
    });
    const counts = await share(300);
    assert.ok(Math.max(...counts) <= 2 * Math.min(...counts), `connections: ${counts.join(" and ")}`);
  });

  test("a reload moves to another address and leaves the one before", async () => {
    const [other] = (await freePorts(1)) as [number];
    await paddock.edit((yaml) => yaml.replace(`:${paddock.httpPort}"`, `:${other}"`));
    const { code, stderr } = await paddock.command("reload");
    assert.equal(code, 0, stderr);
    assert.match(await answer(connect(other, "127.0.0.1")), /^HTTP\/1\.1 301 /);
    await assert.rejects(once(connect(paddock.httpPort, "127.0.0.1"), "connect"), /ECONNREFUSED/);
    await paddock.edit((yaml) => yaml.replace(`:${other}"`, `:${paddock.httpPort}"`));
    assert.equal((await paddock.command("reload")).code, 0);
    assert.match(await answer(connect(paddock.httpPort, "127.0.0.1")), /^HTTP\/1\.1 301 /);
  });

  test("another number of workers loses no address", async () => {
    for (const count of [3, 1, 2]) {
      await paddock.edit((yaml) => yaml.replace(/^workers: \d/m, `workers: ${count}`));
      assert.equal((await paddock.command("reload")).code, 0);
      assert.equal((await workers()).length, count);
      const asked = Array.from({ length: 30 }, () => answer(connect(paddock.httpPort, "127.0.0.1")));
      for (const text of await Promise.all(asked)) assert.match(text, /^HTTP\/1\.1 301 /);
    }
  });

  test("an address that another program has is refused by name, at start and at reload", async () => {
    const folder = await mkdtemp(join(tmpdir(), "paddock-second-"));
    const yaml = await readFile(join(paddock.folder, "paddock.yaml"), "utf8");
    await writeFile(
      join(folder, "paddock.yaml"),
      yaml
        .replaceAll(`${paddock.folder}/store`, `${folder}/store`)
        .replace(`${paddock.folder}/control.sock`, `${folder}/control.sock`),
    );
    const second = await runPaddock(["run", "--config", join(folder, "paddock.yaml")]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`cannot listen on 127.0.0.1:${paddock.httpPort}: EADDRINUSE`));
    assert.match(second.stderr, /ss -ltnp/);
    await rm(folder, { recursive: true, force: true });

    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    await paddock.edit((text) => text.replace(`:${paddock.httpPort}"`, `:${port}"`));
    const reload = await paddock.command("reload");
    taken.close();
    assert.equal(reload.code, 1);
    assert.match(reload.stderr, new RegExp(`cannot listen on 127.0.0.1:${port}: EADDRINUSE`));
    await paddock.edit((text) => text.replace(`:${port}"`, `:${paddock.httpPort}"`));
    assert.match(await answer(connect(paddock.httpPort, "127.0.0.1")), /^HTTP\/1\.1 301 /);
  });
});

/** Open sockets of a process. */
function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith("socket:");
    } catch {
      return false; // It was closed meanwhile.
    }
  }).length;
}

/** Sends one request and reads the answer to its end. */
async function answer(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => (text += part));
  socket.write("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
  await once(socket, "close");
  return text;
}
