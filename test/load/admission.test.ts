import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock } from "../parts/paddock.ts";

describe("admission to an app with two sync workers", () => {
  let paddock: Paddock;
  let gunicorn: Gunicorn;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
upstreams:
  learnt: { to: ["unix:${folder}/app.sock"] }
  known: { to: ["unix:${folder}/app.sock"], maxConcurrent: 3, queueLength: 20, queueTimeout: 1s }
sites:
  - { names: [app.test], upstream: learnt }
  - { names: [known.test], upstream: known }`,
    });
    gunicorn = await startGunicorn({
      folder: paddock.folder,
      socket: `${paddock.folder}/app.sock`,
      workerClass: "sync",
      hosts: "app.test,known.test",
    });
  });

  after(async () => {
    await gunicorn.stop();
    await paddock.stop();
  });

  const metric = async (name: string, upstream: string): Promise<number> => {
    const { body } = await paddock.plain(paddock.adminPort, "/metrics");
    const line = new RegExp(`^paddock_upstream_${name}\\{upstream="${upstream}"\\} (\\S+)$`, "m");
    return Number(line.exec(body.toString())?.[1] ?? Number.NaN);
  };

  test("learns from the backlog how many requests the app takes, and queues the others", async () => {
    assert.ok(Number.isNaN(await metric("limit", "learnt")), "nothing is known before there is load");
    const ask = (): Promise<{ status: number }> => paddock.get("/slow/?seconds=0.3", { host: "app.test" });
    const answers = Array.from({ length: 15 }, ask);
    // Two at work and one in the backlog; more while a sample found none waiting. Never all that came.
    await paddock.until("a limit", async () => (await metric("limit", "learnt")) <= 8);
    answers.push(...Array.from({ length: 30 }, ask));
    await paddock.until("a queue", async () => (await metric("queue_length", "learnt")) > 0);
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
    assert.equal(await metric("queue_length", "learnt"), 0);
    assert.equal(await metric("in_flight", "learnt"), 0);
  });

  test("a number is kept over all workers, and who waits too long gets 503 with Retry-After", async () => {
    assert.equal(await metric("limit", "known"), 3);
    let most = 0;
    const answers = Array.from({ length: 12 }, () => paddock.get("/slow/?seconds=1", { host: "known.test" }));
    for (let look = 0; look < 20; look++) most = Math.max(most, await metric("in_flight", "known"));
    const results = await Promise.all(answers);
    assert.ok(most >= 2 && most <= 3, `at the app at a time: ${most}`);
    const refused = results.filter(({ status }) => status === 503);
    assert.ok(refused.length > 0);
    for (const { headers } of refused) assert.match(headers["retry-after"] ?? "", /^\d+$/);
    for (const { status } of results) assert.ok(status === 200 || status === 503, String(status));
    assert.match(paddock.output, /known was busy for longer than queueTimeout/);
  });
});
