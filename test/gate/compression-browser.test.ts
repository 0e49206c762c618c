import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { after, before, describe, test } from "node:test";
import { chromium, type Browser } from "playwright-core";
import { CODINGS } from "../compression/decode.ts";
import { Paddock } from "../parts/paddock.ts";

const TEXT = "The gate is open, and the field is green. ".repeat(500);

describe("a real browser decodes what is compressed", () => {
  let paddock: Paddock;
  let app: Server;
  let browser: Browser;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        writeFileSync(`${folder}/static/text.txt`, TEXT);
        return `issuers: [{ local: true }]
sites: [{ names: [localhost], upstream: "unix:${folder}/app.sock", static: { /static/: "${folder}/static/" } }]`;
      },
    });
    app = createServer((request, response) => {
      const fields: Record<string, string> = { "content-type": "text/plain" };
      if (request.url?.includes("secret") === true) fields["set-cookie"] = "a=b";
      if (request.url?.includes("stream") === true) {
        response.writeHead(200, fields);
        // Each part waits for the last one to be on its way, so that it is a batch of its own.
        const parts = TEXT.match(/.{1,5000}/gs) ?? [];
        const next = (): void => {
          const part = parts.shift();
          if (part === undefined) response.end();
          else response.write(part, () => setTimeout(next, 10));
        };
        next();
      } else {
        response.writeHead(200, { ...fields, "content-length": TEXT.length });
        response.end(request.method === "HEAD" ? undefined : TEXT);
      }
    });
    app.listen(`${paddock.folder}/app.sock`);
    await once(app, "listening");
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    });
  });

  after(async () => {
    await browser.close();
    app.close();
    app.closeAllConnections();
    await paddock.stop();
  });

  for (const coding of CODINGS)
    test(`${coding}: whole, streamed and from a file, with a hidden length and without`, async () => {
      // Chromium accepts all three, of which Paddock would always take the first.
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        extraHTTPHeaders: { "accept-encoding": coding },
      });
      const page = await context.newPage();
      await page.goto(`https://localhost:${paddock.httpsPort}/static/text.txt`);
      const fetched = async (
        path: string,
      ): Promise<{ text: string; coding: string | null; decoded: number }> =>
        await page.evaluate(async (path) => {
          const response = await fetch(path, { cache: "no-store" });
          const text = await response.text();
          const timing = performance.getEntriesByName(response.url).at(-1) as PerformanceResourceTiming;
          return {
            text,
            coding: response.headers.get("content-encoding"),
            decoded: timing.decodedBodySize / timing.encodedBodySize,
          };
        }, path);
      for (const path of ["/whole", "/stream", "/secret", "/secret-stream", "/static/text.txt"]) {
        let answer = await fetched(path);
        if (path.startsWith("/static/")) {
          // The file itself until its form is there.
          await paddock.until("the compressed form", async () => {
            answer = await fetched(path);
            return answer.coding !== null;
          });
        }
        assert.equal(answer.coding, coding, path);
        assert.equal(answer.text, TEXT, path);
        assert.ok(answer.decoded > 5, `${path} came ${answer.decoded} times smaller`);
      }
      await context.close();
    });
});
