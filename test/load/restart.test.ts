import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Load } from "../parts/load.ts";
import { Paddock } from "../parts/paddock.ts";

for (const workerClass of ["sync", "gthread"] as const) {
  describe(`Gunicorn's ${workerClass} workers restart under load`, () => {
    let paddock: Paddock;
    let gunicorn: Gunicorn | null = null;
    let ca: string;

    before(async () => {
      paddock = await Paddock.start({
        yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
      });
      ca = await readFile(paddock.rootPath, "utf8");
    });

    after(async () => {
      await gunicorn?.stop();
      await paddock.stop();
    });

    const start = (prepared: boolean): Promise<Gunicorn> =>
      startGunicorn({ folder: paddock.folder, socket: `${paddock.folder}/app.sock`, workerClass, prepared });

    test("five times, and not one GET or POST fails", async () => {
      gunicorn = await start(false);
      const load = new Load(
        { port: paddock.httpsPort, host: "app.test", path: "/upload/", ca, post: Buffer.alloc(200, "x") },
        300,
      );
      for (let count = 1; count <= 5; count++) {
        const answered = load.answered;
        await paddock.until("requests between restarts", () => load.answered > answered + 50);
        await gunicorn.stop();
        // systemd's restart: the next one starts when the one before has ended.
        gunicorn = await start(true);
      }
      await load.stop();
      assert.deepEqual(load.failures, []);
      assert.ok(load.answered > 500);
    });

    test("an app that stays away is a 502 once the grace is over, and its state is logged once", async () => {
      await paddock.edit(
        (yaml) => `${yaml.replace(/upstream: .*/, "upstream: app")}
upstreams: { app: { to: ["unix:${paddock.folder}/app.sock"], restartGrace: 1s } }
`,
      );
      assert.equal((await paddock.command("reload")).code, 0);
      await gunicorn?.stop();
      gunicorn = null;
      await rm(`${paddock.folder}/app.sock`, { force: true });
      const before = paddock.output.length;
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => paddock.get("/upload/", { host: "app.test" })),
      );
      for (const { status } of answers) assert.equal(status, 502);
      await paddock.until("the log", () => paddock.output.includes("start the app, or correct", before));
      const said = paddock.output.slice(before).split("the app is down").length - 1;
      assert.ok(said >= 1 && said <= 2, `once for each worker, not ${said} times`);
    });
  });
}
