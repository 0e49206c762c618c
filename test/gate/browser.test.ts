import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { chromium, type Browser } from "playwright-core";
import { startApp, type App } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

describe("in a real browser", () => {
  let paddock: Paddock;
  let app: App;
  let browser: Browser;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        writeFileSync(`${folder}/static/page.html`, "<!doctype html><title>static</title><h1>Hello</h1>");
        return `issuers: [{ local: true }]
sites: [{ names: [localhost], upstream: "unix:${folder}/app.sock", static: { /static/: "${folder}/static/" } }]`;
      },
    });
    app = await startApp(`${paddock.folder}/app.sock`);
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
      ],
    });
  });

  after(async () => {
    await browser.close();
    await app.stop();
    await paddock.stop();
  });

  test("a page comes over HTTP/2 and TLS 1.3", async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const response = await page.goto(`https://localhost:${paddock.httpsPort}/static/page.html`);
    assert.equal(response?.status(), 200);
    assert.equal((await response?.securityDetails())?.protocol, "TLS 1.3");
    assert.equal(await page.textContent("h1"), "Hello");
    const protocol = await page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol");
    assert.equal(protocol, "h2");
    await context.close();
  });

  test("the status page shows the certificate", async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${paddock.adminPort}/`);
    assert.match((await page.textContent("h1")) ?? "", /^Paddock /);
    assert.match((await page.textContent("table")) ?? "", /localhost.*valid.*local/s);
    if (process.env.KEEP_PICTURE !== undefined) await page.screenshot({ path: process.env.KEEP_PICTURE });
  });
});
