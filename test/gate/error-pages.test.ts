import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { chromium, type Browser } from "playwright-core";
import { startRawApp } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

describe("error pages", () => {
  let paddock: Paddock;
  let browser: Browser;
  let app: { stop(): Promise<void> };

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        mkdirSync(`${folder}/pages`);
        writeFileSync(
          `${folder}/pages/404.html`,
          "<!doctype html><title>ours</title><p id=a>{{ status }} {{title}} {{request_id}} {{other}}",
        );
        writeFileSync(`${folder}/pages/5xx.html`, "<!doctype html><p>ours {{status}}");
        return `issuers: [{ local: true }]
sites:
  - { names: [localhost], static: { /static/: "${folder}/static/" }, upstream: "unix:${folder}/app.sock" }
  - { names: [own.test], static: { /static/: "${folder}/static/" }, upstream: "unix:${folder}/app.sock", errors: "${folder}/pages" }`;
      },
    });
    app = await startRawApp(`${paddock.folder}/app.sock`, (socket, head) => {
      if (head.startsWith("GET /broken")) socket.end("nonsense\r\n\r\n");
      else
        socket.write(
          "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nthe app's",
        );
    });
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    });
  });

  after(async () => {
    await browser.close();
    await app.stop();
    await paddock.stop();
  });

  test("the default page: Paddock's fields, a policy, the request's id, and no path", async () => {
    const { status, headers, body } = await paddock.get("/static/none", { host: "localhost" });
    const text = body.toString();
    assert.equal(status, 404);
    assert.equal(headers.server, "paddock");
    assert.equal(headers["content-type"], "text/html; charset=utf-8");
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(String(headers["content-security-policy"]), /^default-src 'none'; style-src 'sha256-/);
    assert.ok(new RegExp(`<code>${String(headers["x-request-id"])}</code>`).test(text));
    assert.ok(!text.includes(paddock.folder));
    assert.doesNotMatch(text, /https?:|<script|<img|<link/, "nothing is fetched");
  });

  test("HTML for who takes it, problem+json for the others", async () => {
    const html = [undefined, "*/*", "text/*", "text/html, application/json", "image/avif,*/*"];
    const json = ["application/json", "application/problem+json", "application/json, */*", "image/png"];
    for (const [accepts, type] of [
      [html, "text/html; charset=utf-8"],
      [json, "application/problem+json"],
    ] as const) {
      for (const accept of accepts) {
        const headers: Record<string, string> = {};
        if (accept !== undefined) headers["accept"] = accept;
        const answer = await paddock.get("/static/none", { host: "own.test", headers });
        assert.equal(answer.headers["content-type"], type, accept ?? "no Accept");
        assert.equal(answer.headers.vary, "Accept");
      }
    }
    const answer = await paddock.get("/static/none", {
      host: "own.test",
      headers: { accept: "application/json" },
    });
    assert.deepEqual(JSON.parse(answer.body.toString()), {
      type: "about:blank",
      title: "Not Found",
      status: 404,
      requestId: answer.headers["x-request-id"],
    });
  });

  test("a site's own pages: by number, by class, filled in; for Paddock's errors and never for the app's", async () => {
    const own = await paddock.get("/static/none", { host: "own.test" });
    assert.equal(own.status, 404);
    assert.equal(
      own.body.toString(),
      `<!doctype html><title>ours</title><p id=a>404 There is nothing here ${String(own.headers["x-request-id"])} {{other}}`,
    );
    assert.equal(own.headers["content-security-policy"], undefined, "its styles are its author's business");
    assert.equal(own.headers.server, "paddock");
    const broken = await paddock.get("/broken", { host: "own.test" });
    assert.deepEqual([broken.status, broken.body.toString()], [502, "<!doctype html><p>ours 502"]);
    const other = await paddock.get("/static/a", { host: "own.test", method: "DELETE" });
    assert.equal(other.status, 405);
    assert.match(other.body.toString(), /could not be answered/, "no 4xx.html is there");
    const head = await paddock.get("/static/none", { host: "own.test", method: "HEAD" });
    assert.deepEqual([head.status, head.body.length], [404, 0]);
    const apps = await paddock.get("/missing", { host: "own.test" });
    assert.deepEqual([apps.status, apps.body.toString()], [404, "the app's"]);
  });

  test("a reload brings changed pages to workers that stay; a folder that has gone changes nothing", async () => {
    writeFileSync(`${paddock.folder}/pages/5xx.html`, "<p>new");
    assert.match((await paddock.command("reload")).stdout, /in place/);
    assert.equal((await paddock.get("/broken", { host: "own.test" })).body.toString(), "<p>new");
    writeFileSync(`${paddock.folder}/pages/50x.html`, "");
    const refused = await paddock.command("reload");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /paddock\.yaml:\d+:\d+: .*50x\.html has no name of an error page/);
    assert.equal((await paddock.get("/broken", { host: "own.test" })).body.toString(), "<p>new");
    rmSync(`${paddock.folder}/pages/50x.html`);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`in Chromium, ${colorScheme}: the policy lets its own style through, and it fits a telephone`, async () => {
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        colorScheme,
        viewport: { width: 320, height: 560 },
      });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      const to = `https://localhost:${paddock.httpsPort}`;
      for (const [path, heading] of [
        ["/static/none", "There is nothing here"],
        ["/broken", "The site does not answer"],
      ] as const) {
        await page.goto(to + path);
        assert.equal(await page.textContent("h1"), heading);
        const [width, ground] = await page.evaluate<[number, string]>(
          "[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]",
        );
        assert.equal(width, 320, "nothing to scroll sideways");
        assert.equal(ground, colorScheme === "light" ? "rgb(246, 245, 242)" : "rgb(20, 21, 24)");
        const folder = process.env.KEEP_PICTURES;
        if (folder !== undefined)
          await page.screenshot({ path: `${folder}/${path.replaceAll("/", "")}-${colorScheme}.png` });
      }
      assert.deepEqual(
        complaints.filter((text) => /Content.Security.Policy/i.test(text) && !/favicon/.test(text)),
        [],
      );
      await context.close();
    });
  }
});
