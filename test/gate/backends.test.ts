import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Paddock } from "../parts/paddock.ts";

interface Backend {
  readonly server: Server;
  requests: number;
  healthy: boolean;
}

/** Answers with its name, after a moment; /healthz by `healthy`. */
async function startBackend(path: string, name: string): Promise<Backend> {
  const backend: Backend = { server: createServer(), requests: 0, healthy: true };
  backend.server.on("request", (request, response) => {
    if (request.url === "/healthz") {
      response.writeHead(backend.healthy ? 200 : 500).end();
      return;
    }
    backend.requests++;
    setTimeout(() => response.end(name), 20);
  });
  backend.server.listen(path);
  await once(backend.server, "listening");
  return backend;
}

async function stopBackend({ server }: Backend): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

describe("several addresses of one upstream", () => {
  let paddock: Paddock;
  let one: Backend;
  let two: Backend;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
upstreams:
  app:
    to: ["unix:${folder}/one.sock", "unix:${folder}/two.sock"]
    restartGrace: 30s
    healthCheck: { path: /healthz, interval: 100ms, timeout: 2s }
sites:
  - names: [app.test]
    upstream: app`,
    });
    one = await startBackend(`${paddock.folder}/one.sock`, "one");
    two = await startBackend(`${paddock.folder}/two.sock`, "two");
    // The checks may have found them missing while they started.
    await paddock.until("both to be asked", async () => {
      await ask(10);
      return one.requests > 0 && two.requests > 0;
    });
  });

  after(async () => {
    await paddock.stop();
    await Promise.allSettled([stopBackend(one), stopBackend(two)]);
  });

  async function ask(count: number): Promise<string[]> {
    const answers = await Promise.all(
      Array.from({ length: count }, () => paddock.get("/", { host: "app.test" })),
    );
    for (const { status } of answers) assert.equal(status, 200);
    return answers.map(({ body }) => body.toString());
  }

  test("share requests by how many they have", async () => {
    const answers = await ask(40);
    const first = answers.filter((name) => name === "one").length;
    assert.ok(first >= 13 && first <= 27, `${first} of 40`);
  });

  test("one that fails its checks gets no requests, until it passes one", async () => {
    const said = (state: string): number => paddock.output.split(`the app is ${state}"`).length;
    const before = said("unhealthy");
    two.healthy = false;
    await paddock.until("the log", () => said("unhealthy") > before);
    assert.deepEqual(new Set(await ask(10)), new Set(["one"]));
    two.healthy = true;
    await paddock.until("both to answer", async () => new Set(await ask(10)).size === 2);
  });

  test("one that is gone costs no request, and is found again", async () => {
    await stopBackend(two);
    rmSync(`${paddock.folder}/two.sock`, { force: true });
    for (let round = 0; round < 5; round++) assert.deepEqual(new Set(await ask(10)), new Set(["one"]));
    two = await startBackend(`${paddock.folder}/two.sock`, "two");
    await paddock.until("both to answer", async () => new Set(await ask(10)).size === 2);
  });

  test("with both gone requests wait, and go on with the first that is back", async () => {
    await Promise.all([stopBackend(one), stopBackend(two)]);
    const waiting = ask(10);
    await paddock.until("them to be held", async () => {
      const { body } = await paddock.plain(paddock.adminPort, "/metrics");
      return /^paddock_upstream_held\{upstream="app"\} 10$/m.test(body.toString());
    });
    one = await startBackend(`${paddock.folder}/one.sock`, "one");
    assert.deepEqual(new Set(await waiting), new Set(["one"]));
    two = await startBackend(`${paddock.folder}/two.sock`, "two");
  });
});
