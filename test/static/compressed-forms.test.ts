import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CompressedForms } from "../../src/handlers/static/compressed-forms.ts";
import type { StaticRequest, StaticResult } from "../../src/handlers/static/static-answer.ts";
import { createStaticFiles, type StaticOptions } from "../../src/handlers/static/static-files.ts";
import { decode } from "../compression/decode.ts";
import { bytesOf, field, request, StaticFolder } from "./static-folder.ts";

function staticFolder(t: TestContext, options: Omit<StaticOptions, "now"> = {}): StaticFolder {
  const folder = new StaticFolder({ compress: true, forms: new CompressedForms(), ...options });
  t.after(() => folder.remove());
  return folder;
}

const SCRIPT = Array.from({ length: 400 }, (_, index) => `export const name${index} = ${index * 7};\n`).join(
  "",
);

/**
 * A file that was written this very moment is not compressed before the next look at the disk: it may change again
 * within the same tick of the file system's clock.
 */
async function settle(folder: StaticFolder): Promise<void> {
  await sleep(60);
  folder.now += 1000;
}

/** Asks until the file comes in that coding. */
async function compressed(
  folder: StaticFolder,
  name: string,
  coding: string,
  fields: Partial<StaticRequest> = {},
): Promise<StaticResult> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(5)) {
    const result = await folder.get(name, { acceptEncoding: coding, ...fields });
    if (field(result, "content-encoding") === coding) return result;
    if (result.kind === "file") await result.handle.close();
  }
  throw new Error(`${name} never came in ${coding}`);
}

void test("as it is first, then compressed: once per coding, with a tag, a length and ranges of its own", async (t) => {
  const folder = staticFolder(t);
  folder.write("app.js", SCRIPT);
  await settle(folder);
  const first = await folder.get("app.js", { acceptEncoding: "gzip, br, zstd" });
  assert.equal(field(first, "content-encoding"), undefined, "nobody waits");
  assert.equal(field(first, "vary"), "Accept-Encoding");
  assert.equal((await bytesOf(first)).toString(), SCRIPT);
  const plainTag = field(first, "etag") ?? "";
  const tags = new Set([plainTag]);
  for (const coding of ["br", "zstd", "gzip"]) {
    const result = await compressed(folder, "app.js", coding);
    const body = await bytesOf(result);
    assert.ok(body.length < SCRIPT.length / 3);
    assert.equal(decode(coding, body).toString(), SCRIPT);
    assert.equal(field(result, "vary"), "Accept-Encoding");
    assert.equal(field(result, "content-type"), "text/javascript; charset=utf-8");
    assert.equal(field(result, "last-modified"), field(first, "last-modified"));
    const etag = field(result, "etag") ?? "";
    assert.match(etag, /^"[^"]+"$/, "strong, since it names these bytes");
    tags.add(etag);

    const again = folder.files.lookup("/static/app.js", "GET", request({ acceptEncoding: coding }));
    assert.ok(again !== undefined && !(again instanceof Promise) && again.kind === "memory");
    assert.equal(again.fields, (result as typeof again).fields, "made once");

    const head = await folder.get("app.js", { acceptEncoding: coding }, "HEAD");
    assert.deepEqual([head.kind === "none" && head.length, head.fields], [body.length, result.fields]);
    const unchanged = await folder.get("app.js", { acceptEncoding: coding, ifNoneMatch: `"x", W/${etag}` });
    assert.deepEqual([unchanged.status, field(unchanged, "etag")], [304, etag]);
    const other = await folder.get("app.js", { acceptEncoding: coding, ifNoneMatch: plainTag });
    assert.equal(other.status, 200);

    const part = await folder.get("app.js", { acceptEncoding: coding, range: "bytes=10-19", ifRange: etag });
    assert.equal(part.status, 206);
    assert.equal(field(part, "content-range"), `bytes 10-19/${body.length}`);
    assert.deepEqual(await bytesOf(part), body.subarray(10, 20));
    const lost = await folder.get("app.js", {
      acceptEncoding: coding,
      range: "bytes=10-19",
      ifRange: plainTag,
    });
    assert.equal(lost.status, 200);
    const blind = await folder.get("app.js", { acceptEncoding: coding, range: "bytes=10-19" });
    assert.equal(
      field(blind, "content-encoding"),
      undefined,
      "who says nothing of what it has gets the file",
    );
    assert.equal((await bytesOf(blind)).toString(), SCRIPT.slice(10, 20));
  }
  assert.equal(tags.size, 4);
  const weights = await folder.get("app.js", { acceptEncoding: "gzip, br, zstd" });
  assert.equal(field(weights, "content-encoding"), "br", "the smallest among equals");
  assert.equal(field(await folder.get("app.js", {}), "content-encoding"), undefined);
  const refused = await folder.get("app.js", { acceptEncoding: "identity;q=0, gzip" });
  assert.equal(field(refused, "content-encoding"), "gzip");
});

void test("a large file is read, compressed and kept like a small one, and so is what a reload makes of it", async (t) => {
  const forms = new CompressedForms();
  const folder = staticFolder(t, { forms });
  const large = SCRIPT.repeat(30);
  folder.write("bundle.js", large);
  await settle(folder);
  const plain = await folder.get("bundle.js", { acceptEncoding: "br" });
  assert.equal(plain.kind, "file");
  assert.equal((await bytesOf(plain)).toString(), large);
  const result = await compressed(folder, "bundle.js", "br");
  assert.equal(result.kind, "memory");
  assert.equal(decode("br", await bytesOf(result)).toString(), large);

  const reloaded = createStaticFiles([{ prefix: "/static/", folder: folder.folder }], {
    compress: true,
    forms,
  });
  const first = await reloaded.lookup("/static/bundle.js", "GET", request({ acceptEncoding: "br" }));
  assert.equal(first && field(first, "content-encoding"), "br", "at once");
  assert.equal(first && field(first, "etag"), field(result, "etag"));
});

void test("a changed file is never answered with the old one's form", async (t) => {
  const folder = staticFolder(t);
  const path = folder.write("app.css", "a{color:red}\n".repeat(200));
  await settle(folder);
  const before = await compressed(folder, "app.css", "gzip");
  writeFileSync(`${path}.new`, "b{color:red}\n".repeat(200));
  renameSync(`${path}.new`, path);
  folder.now += 1000;
  const plain = await folder.get("app.css", { acceptEncoding: "gzip" });
  assert.match(decode(field(plain, "content-encoding"), await bytesOf(plain)).toString(), /^b/);
  await settle(folder);
  const after = await compressed(folder, "app.css", "gzip");
  assert.match(decode("gzip", await bytesOf(after)).toString(), /^b/);
  assert.notEqual(field(after, "etag"), field(before, "etag"));
});

void test("two files of one content share one form, and each keeps its own tag and times", async (t) => {
  const folder = staticFolder(t, { forms: new CompressedForms(5000) });
  folder.write("css/a.css", SCRIPT, 60);
  folder.write("css/a.27e20196a850.css", SCRIPT, 90);
  await settle(folder);
  const one = await compressed(folder, "css/a.css", "br");
  const two = await compressed(folder, "css/a.27e20196a850.css", "br");
  assert.ok(one.kind === "memory" && two.kind === "memory");
  assert.equal(one.body, two.body, "the same bytes in memory, not equal ones");
  assert.notEqual(field(one, "etag"), field(two, "etag"));
  assert.match(field(two, "cache-control") ?? "", /immutable/);
  assert.doesNotMatch(field(one, "cache-control") ?? "", /immutable/);
});

void test("the memory has a bound: the form that was used longest ago goes, and is made again when it is wanted", async (t) => {
  const noise = (): string => randomBytes(6000).toString("hex");
  const folder = staticFolder(t, { forms: new CompressedForms(20_000) });
  for (const name of ["1.txt", "2.txt", "3.txt"]) folder.write(name, noise());
  await settle(folder);
  for (const name of ["1.txt", "2.txt", "3.txt"]) await compressed(folder, name, "gzip");
  const first = await folder.get("1.txt", { acceptEncoding: "gzip" });
  assert.equal(field(first, "content-encoding"), undefined, "two fit");
  await compressed(folder, "1.txt", "gzip");
  assert.equal(field(await folder.get("2.txt", { acceptEncoding: "gzip" }), "content-encoding"), undefined);
});

void test("left as they are: small, compressed types, bytes that do not shrink, sites with compress: false", async (t) => {
  const folder = staticFolder(t);
  folder.write("small.css", "a{}".repeat(300));
  folder.write("picture.png", SCRIPT);
  folder.write("font.woff2", SCRIPT);
  folder.write("noise.txt", randomBytes(20_000));
  folder.write("app.js", SCRIPT);
  await settle(folder);
  const accepted = { acceptEncoding: "gzip" };
  const names = ["small.css", "picture.png", "font.woff2", "noise.txt"];
  for (const name of names) await folder.get(name, accepted);
  // One at a time and in order: when this one is there, the others would be, too.
  await compressed(folder, "app.js", "gzip");
  for (const name of names) {
    const result = await folder.get(name, accepted);
    assert.equal(field(result, "content-encoding"), undefined, name);
    assert.equal(field(result, "vary"), name === "noise.txt" ? "Accept-Encoding" : undefined, name);
  }
  const off = staticFolder(t, { compress: false });
  off.write("app.js", SCRIPT);
  assert.equal(field(await off.get("app.js", accepted), "vary"), undefined);
});

void test("a neighbour that the operator compressed goes before one that Paddock would make", async (t) => {
  const folder = staticFolder(t);
  folder.write("app.js", SCRIPT);
  folder.write("app.js.gz", "made beforehand");
  await settle(folder);
  const both = await folder.get("app.js", { acceptEncoding: "br, gzip" });
  assert.equal((await bytesOf(both)).toString(), "made beforehand");
  const other = await compressed(folder, "app.js", "br");
  assert.equal(decode("br", await bytesOf(other)).toString(), SCRIPT);
  const preferred = await folder.get("app.js", { acceptEncoding: "gzip;q=0.5, br" });
  assert.equal((await bytesOf(preferred)).toString(), "made beforehand");
});
