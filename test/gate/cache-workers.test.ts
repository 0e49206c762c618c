import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Paddock, type Answer } from "../parts/paddock.ts";
import { ScriptedApp } from "../parts/scripted-app.ts";

const MINUTE = ["Content-Type: text/plain", "Cache-Control: max-age=60"];

describe("the caches of two workers", () => {
  let paddock: Paddock;
  let app: ScriptedApp;
  let content = "first";

  before(async () => {
    paddock = await Paddock.start({
      workers: 2,
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - { names: [app.test, www.app.test], upstream: "unix:${folder}/app.sock", cache: { memory: 8MB } }
  - { names: [plain.test], upstream: "unix:${folder}/app.sock" }`,
    });
    app = await ScriptedApp.start(`${paddock.folder}/app.sock`);
    for (const path of ["/page", "/shop/a", "/shop/b"])
      app.on(path, ({ method }) => {
        if (method === "POST") return { status: 303, fields: ["Location: /shop/a"] };
        return { fields: MINUTE, body: content };
      });
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  const get = (path: string): Promise<Answer> => paddock.get(path, { host: "app.test" });
  /** Asks over many connections, so that both workers have it; what each answer said. */
  const everywhere = async (path: string): Promise<Set<string>> => {
    const answers = await Promise.all(Array.from({ length: 24 }, () => get(path)));
    return new Set(answers.map(({ body }) => body.toString()));
  };

  test("each worker asks the app once", async () => {
    assert.deepEqual(await everywhere("/page"), new Set(["first"]));
    assert.ok(app.asked("/page").length <= 2);
  });

  test("purge empties all workers: a path, a path with any query, a prefix, the site", async () => {
    for (const [target, pattern] of [
      ["/page", ["/page"]],
      ["/page?a=1", ["/page"]],
      ["/page?a=1", ["/page?a=1"]],
      ["/shop/b", ["/shop/*"]],
      ["/shop/b", []],
    ] as const) {
      content = `old ${target}`;
      await paddock.command("purge", "app.test");
      await everywhere(target);
      content = `new ${target}`;
      await paddock.command("purge", "app.test", "/other/*");
      assert.deepEqual(await everywhere(target), new Set([`old ${target}`]));
      const { code, stdout } = await paddock.command("purge", "www.app.test", ...pattern);
      assert.equal(code, 0);
      assert.equal(stdout, `purged ${["app.test", ...pattern].join(" ")}\n`);
      assert.deepEqual(await everywhere(target), new Set([`new ${target}`]), pattern.join());
    }
  });

  test("purge says what it cannot do, with the contract's exit codes", async () => {
    const unknown = await paddock.command("purge", "nobody.test");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /there is no site called "nobody.test"; see paddock status/);
    const without = await paddock.command("purge", "plain.test");
    assert.equal(without.code, 1);
    assert.match(without.stderr, /plain.test has no cache/);
    assert.equal((await paddock.command("purge")).code, 2);
    assert.equal((await paddock.command("purge", "app.test", "page")).code, 2);
  });

  test("an unsafe request makes its target and its Location invalid, in the other worker soon too", async () => {
    content = "before";
    await paddock.command("purge", "app.test");
    await everywhere("/page");
    await everywhere("/shop/a");
    content = "after";
    assert.equal((await paddock.get("/page", { host: "app.test", method: "POST" })).status, 303);
    for (const path of ["/page", "/shop/a"])
      await paddock.until(`${path} to be new everywhere`, async () => {
        const said = await everywhere(path);
        return said.size === 1 && said.has("after");
      });
  });

  test("a reload keeps what is stored, and empties a cache whose configuration changed", async () => {
    content = "kept";
    await paddock.command("purge", "app.test");
    await everywhere("/page");
    content = "changed";
    await paddock.edit((yaml) => yaml.replace("names: [plain.test]", "names: [plain.test, other.test]"));
    assert.equal((await paddock.command("reload")).code, 0);
    assert.deepEqual(await everywhere("/page"), new Set(["kept"]));
    await paddock.edit((yaml) => yaml.replace("memory: 8MB", "memory: 16MB"));
    assert.equal((await paddock.command("reload")).code, 0);
    assert.deepEqual(await everywhere("/page"), new Set(["changed"]));
  });
});
