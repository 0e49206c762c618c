import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock, type Answer } from "../parts/paddock.ts";

describe("a cache in front of Django", () => {
  let paddock: Paddock;
  let gunicorn: Gunicorn;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - { names: [app.test], upstream: "unix:${folder}/app.sock", cache: { memory: 8MB } }`,
    });
    gunicorn = await startGunicorn({
      folder: paddock.folder,
      socket: `${paddock.folder}/app.sock`,
      workerClass: "gthread",
    });
  });

  after(async () => {
    await gunicorn.stop();
    await paddock.stop();
  });

  const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
    paddock.get(path, { host: "app.test", headers });

  test("@cache_control and @cache_page views are made once", async () => {
    for (const path of ["/cached/control/", "/cached/page/"]) {
      const first = await get(path);
      const second = await get(path, { cookie: "visitor=someone" });
      assert.equal(first.headers["cache-status"], "paddock; fwd=uri-miss; stored", path);
      assert.match(String(second.headers["cache-status"]), /^paddock; hit; ttl=/);
      assert.equal(second.body.toString(), first.body.toString());
    }
  });

  test("@vary_on_cookie keeps the visitors apart", async () => {
    const ann = await get("/cached/cookie/", { cookie: "visitor=ann" });
    const bob = await get("/cached/cookie/", { cookie: "visitor=bob" });
    const again = await get("/cached/cookie/", { cookie: "visitor=ann" });
    assert.match(ann.body.toString(), /for ann$/);
    assert.match(bob.body.toString(), /for bob$/);
    assert.match(String(bob.headers["cache-status"]), /fwd=vary-miss/);
    assert.equal(again.body.toString(), ann.body.toString());
    assert.match(String(again.headers["cache-status"]), /; hit;/);
  });

  test("a form with its CSRF token and a session are made for each visitor", async () => {
    const forms = [await get("/cached/form/"), await get("/cached/form/"), await get("/cached/form/")];
    const cookie = String(forms[0]?.headers["set-cookie"]).split(";")[0] ?? "";
    assert.match(cookie, /^csrftoken=/);
    // With the cookie there is no Set-Cookie any more, and the token is in the body alone.
    forms.push(await get("/cached/form/", { cookie }), await get("/cached/form/", { cookie }));
    assert.equal(new Set(forms.map(({ body }) => body.toString())).size, 5);
    assert.ok(forms.every(({ headers }) => !String(headers["cache-status"]).includes("hit")));
    const sessions = await Promise.all(Array.from({ length: 4 }, () => get("/cached/session/")));
    assert.equal(new Set(sessions.map(({ headers }) => String(headers["set-cookie"]))).size, 4);
    assert.equal(new Set(sessions.map(({ body }) => body.toString())).size, 4);
  });
});
