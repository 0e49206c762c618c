import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import type { IncomingMessage } from "node:http";
import { after, before, describe, test } from "node:test";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock } from "../parts/paddock.ts";

for (const workerClass of ["sync", "gthread"] as const) {
  describe(`Django under Gunicorn's ${workerClass} workers`, () => {
    let paddock: Paddock;
    let gunicorn: Gunicorn;

    before(async () => {
      paddock = await Paddock.start({
        yaml: (folder) => `issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock" }]`,
      });
      const { folder } = paddock;
      gunicorn = await startGunicorn({ folder, socket: `${folder}/app.sock`, workerClass });
    });

    after(async () => {
      await gunicorn.stop();
      await paddock.stop();
    });

    test("knows that the request is secure, its host and the client's address, with no redirect loop", async () => {
      const { status, body, headers } = await paddock.get("/whoami/");
      assert.equal(status, 200);
      assert.deepEqual(JSON.parse(body.toString()), {
        secure: true,
        host: `app.test:${paddock.httpsPort}`,
        forwarded_for: "127.0.0.1",
        user: "",
      });
      // Django sends its own; there is never a second one.
      assert.equal(headers["strict-transport-security"], "max-age=600");
      assert.equal(headers["x-frame-options"], "DENY");
    });

    test("login with CSRF", async () => {
      const page = await paddock.get("/login/");
      const csrf = /csrftoken=([^;]+)/.exec(String(page.headers["set-cookie"]))?.[1] ?? "";
      const form = new URLSearchParams({
        username: "demo",
        password: "demo",
        csrfmiddlewaretoken: page.body.toString(),
      });
      const answer = await paddock.get("/login/", {
        host: "app.test",
        method: "POST",
        headers: {
          cookie: `csrftoken=${csrf}`,
          referer: `https://app.test:${paddock.httpsPort}/login/`,
          "content-type": "application/x-www-form-urlencoded",
        },
        body: Buffer.from(form.toString()),
      });
      assert.equal(answer.body.toString(), "in");
      const session = /sessionid=([^;]+)/.exec(String(answer.headers["set-cookie"]))?.[1] ?? "";
      const who = await paddock.get("/whoami/", {
        host: "app.test",
        headers: { cookie: `sessionid=${session}` },
      });
      assert.equal((JSON.parse(who.body.toString()) as { user: string }).user, "demo");
    });

    test("an upload of 20 MB arrives byte for byte", async () => {
      const body = randomBytes(20 * 1024 * 1024);
      const answer = await paddock.get("/upload/", { host: "app.test", method: "POST", body });
      assert.deepEqual(JSON.parse(answer.body.toString()), {
        sha256: createHash("sha256").update(body).digest("hex"),
        length: body.length,
      });
    });

    test("a streamed response arrives as it is produced", async () => {
      const asked = request({
        host: "127.0.0.1",
        port: paddock.httpsPort,
        servername: "app.test",
        path: "/stream/",
        headers: { host: "app.test" },
        ca: await readFile(paddock.rootPath),
        agent: false,
      });
      asked.end();
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      const parts: string[] = [];
      for await (const part of response) parts.push(String(part));
      assert.equal(parts.join(""), "part 0\npart 1\npart 2\npart 3\n");
      assert.ok(parts.length >= 3, `came in ${parts.length} pieces`);
    });

    test("a slow view is not cut", async () => {
      const { status, body } = await paddock.get("/slow/?seconds=3", { host: "app.test" });
      assert.equal(status, 200);
      assert.equal(body.toString(), "slow");
    });
  });
}
