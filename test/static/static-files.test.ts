import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createStaticFiles, type StaticOptions } from "../../src/handlers/static/static-files.ts";
import { bytesOf, field, request, StaticFolder } from "./static-folder.ts";

function staticFolder(t: TestContext, options: Omit<StaticOptions, "now"> = {}): StaticFolder {
  const folder = new StaticFolder(options);
  t.after(() => folder.remove());
  return folder;
}

void test("serves a small file from memory with its head made once, and at once the second time", async (t) => {
  const folder = staticFolder(t);
  folder.write("css/base.css", "body { color: red }");
  const first = folder.files.lookup("/static/css/base.css", "GET", request());
  assert.ok(first instanceof Promise);
  const result = await first;
  assert.ok(result.kind === "memory");
  assert.equal(result.body.toString(), "body { color: red }");
  assert.equal(field(result, "content-type"), "text/css; charset=utf-8");
  assert.equal(field(result, "cache-control"), "public, max-age=3600");
  assert.equal(field(result, "accept-ranges"), "bytes");
  assert.match(field(result, "etag") ?? "", /^"[0-9a-z]+-j"$/);
  assert.match(field(result, "last-modified") ?? "", /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  assert.equal(field(result, "vary"), undefined);
  assert.equal(field(result, "content-length"), undefined, "framing is the Exchange's");
  assert.match(result.block, /^content-type: text\/css; charset=utf-8\r\nlast-modified: .*\r\n$/s);

  const second = folder.files.lookup("/static/css/base.css", "GET", request());
  assert.ok(second !== undefined && !(second instanceof Promise) && second.kind === "memory");
  assert.equal(second.fields, result.fields, "the same array, nothing made anew");
  assert.equal(second.body, result.body);
});

void test("a path below no prefix is somebody else's", (t) => {
  const { files } = staticFolder(t);
  for (const path of ["/", "/static", "/statics/a", "/a/static/b"])
    assert.equal(files.lookup(path, "GET", request()), undefined);
});

void test("the longest prefix wins", async (t) => {
  const folder = staticFolder(t);
  mkdirSync(join(folder.base, "other"));
  writeFileSync(join(folder.base, "other/a.txt"), "other");
  folder.write("in/a.txt", "outer");
  const files = createStaticFiles([
    { prefix: "/static/", folder: folder.folder },
    { prefix: "/static/in/", folder: join(folder.base, "other") },
  ]);
  const result = await files.lookup("/static/in/a.txt", "GET", request());
  assert.ok(result?.kind === "memory");
  assert.equal(result.body.toString(), "other");
});

void test("HEAD tells the length and sends nothing", async (t) => {
  const folder = staticFolder(t);
  folder.write("a.txt", "hello");
  folder.write("big.bin", randomBytes(100_000));
  for (const [name, length] of [
    ["a.txt", 5],
    ["big.bin", 100_000],
  ] as const) {
    const result = await folder.get(name, { range: "bytes=0-1" }, "HEAD");
    assert.ok(result.kind === "none");
    assert.deepEqual([result.status, result.length], [200, length]);
  }
});

void test("other methods get 405 with Allow", async (t) => {
  const folder = staticFolder(t);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "get"]) {
    const result = await folder.get("a.txt", {}, method);
    assert.equal(result.status, 405);
    assert.equal(field(result, "allow"), "GET, HEAD");
  }
});

void test("a large file comes as an open handle, and the handle is of the file that the head describes", async (t) => {
  const folder = staticFolder(t);
  const content = randomBytes(200_000);
  const path = folder.write("film.mp4", content);
  const result = await folder.get("film.mp4");
  assert.ok(result.kind === "file");
  assert.deepEqual([result.start, result.length], [0, 200_000]);
  assert.equal(field(result, "content-type"), "video/mp4");
  assert.deepEqual(await bytesOf(result), content);

  // Replaced within the second in which the head is trusted: the new file gets a head of its own.
  writeFileSync(`${path}.new`, randomBytes(150_000));
  renameSync(`${path}.new`, path);
  const after = await folder.get("film.mp4", { ifNoneMatch: field(result, "etag") });
  assert.ok(after.kind === "file");
  assert.equal(after.length, 150_000);
  assert.notEqual(field(after, "etag"), field(result, "etag"));
  await after.handle.close();
});

void test("looks at the disk again after a second: change, removal, return", async (t) => {
  const folder = staticFolder(t);
  const path = folder.write("a.txt", "one");
  const etag = field(await folder.get("a.txt"), "etag");
  folder.write("a.txt", "two!", 30);
  assert.equal((await bytesOf(await folder.get("a.txt"))).toString(), "one", "trusted for a second");
  folder.now += 1000;
  const changed = await folder.get("a.txt", { ifNoneMatch: etag });
  assert.equal((await bytesOf(changed)).toString(), "two!");
  assert.notEqual(field(changed, "etag"), etag);
  unlinkSync(path);
  folder.now += 1000;
  assert.equal((await folder.get("a.txt")).status, 404);
  folder.write("a.txt", "three");
  assert.equal((await bytesOf(await folder.get("a.txt"))).toString(), "three", "404 is not remembered");
});

void test("a file that was written to a moment ago is read again, even where size and time stay", async (t) => {
  const folder = staticFolder(t);
  const path = folder.write("a.txt", "one", 0);
  assert.equal((await bytesOf(await folder.get("a.txt"))).toString(), "one");
  const time = new Date();
  utimesSync(path, time, time);
  await folder.get("a.txt");
  writeFileSync(path, "two");
  utimesSync(path, time, time);
  folder.now += 1000;
  assert.equal((await bytesOf(await folder.get("a.txt"))).toString(), "two");
});

void test("a file that is replaced all the time is always whole", async (t) => {
  const folder = staticFolder(t);
  const path = folder.write("a.js", "0".repeat(3000), 0);
  const writer = new AbortController();
  const writing = (async () => {
    for (let version = 1; !writer.signal.aborted; version++) {
      writeFileSync(`${path}.tmp`, String(version % 10).repeat(3000 + (version % 7)));
      renameSync(`${path}.tmp`, path);
      await nextTurn();
    }
  })();
  const seen = new Set<string>();
  for (let round = 0; round < 200; round++) {
    folder.now += 1000;
    const result = await folder.get("a.js");
    assert.equal(result.status, 200);
    const text = (await bytesOf(result)).toString();
    assert.match(text, /^(\d)\1{2999,3005}$/);
    seen.add(text);
  }
  writer.abort();
  await writing;
  assert.ok(seen.size > 10, `${seen.size} versions seen`);
});

void test("a file that is rewritten in place is whole or 503, never a mixture", async (t) => {
  const folder = staticFolder(t);
  const path = folder.write("a.js", "0".repeat(3000), 0);
  const writer = new AbortController();
  const writing = (async () => {
    for (let version = 1; !writer.signal.aborted; version++) {
      writeFileSync(path, String(version % 10).repeat(3000 + (version % 7)));
      await nextTurn();
    }
  })();
  for (let round = 0; round < 100; round++) {
    folder.now += 1000;
    const result = await folder.get("a.js");
    if (result.status === 503) continue;
    assert.match((await bytesOf(result)).toString(), /^((\d)\2{2999,3005})?$/);
  }
  writer.abort();
  await writing;
});

void test("conditional requests: If-None-Match first, weakly and in lists, then If-Modified-Since", async (t) => {
  const folder = staticFolder(t);
  folder.write("a.txt", "hello");
  const whole = await folder.get("a.txt");
  const etag = field(whole, "etag") ?? "";
  const modified = field(whole, "last-modified") ?? "";
  const earlier = new Date(Date.parse(modified) - 1000).toUTCString();
  const later = new Date(Date.parse(modified) + 1000).toUTCString();
  const cases: [Parameters<typeof request>[0], number][] = [
    [{ ifNoneMatch: etag }, 304],
    [{ ifNoneMatch: `W/${etag}` }, 304],
    [{ ifNoneMatch: `"a,b", W/"x" ,${etag}` }, 304],
    [{ ifNoneMatch: "*" }, 304],
    [{ ifNoneMatch: '"other"' }, 200],
    [{ ifNoneMatch: '"other"', ifModifiedSince: later }, 200],
    [{ ifNoneMatch: etag, ifModifiedSince: earlier }, 304],
    [{ ifModifiedSince: modified }, 304],
    [{ ifModifiedSince: later }, 304],
    [{ ifModifiedSince: earlier }, 200],
    [{ ifModifiedSince: "yesterday" }, 200],
    [{ ifModifiedSince: "2026-01-01" }, 200],
    [{ ifNoneMatch: etag, range: "bytes=0-1" }, 304],
  ];
  for (const [fields, status] of cases) {
    const result = await folder.get("a.txt", fields);
    assert.equal(result.status, status, JSON.stringify(fields));
    if (status !== 304) continue;
    assert.equal(field(result, "etag"), etag);
    assert.equal(field(result, "content-type"), undefined);
    assert.equal(field(result, "cache-control"), "public, max-age=3600");
  }
});

void test("ranges: one is served, several are not, If-Range decides", async (t) => {
  const folder = staticFolder(t, { largestInMemory: 10 });
  folder.write("small.txt", "0123456789");
  folder.write("large.txt", "0123456789abcdef");
  folder.write("empty.txt", "");
  const etag = field(await folder.get("small.txt"), "etag") ?? "";
  const modified = field(await folder.get("small.txt"), "last-modified") ?? "";
  const cases: [string, Parameters<typeof request>[0], number, string, string | undefined][] = [
    ["small.txt", { range: "bytes=2-4" }, 206, "234", "bytes 2-4/10"],
    ["small.txt", { range: "bytes=7-" }, 206, "789", "bytes 7-9/10"],
    ["small.txt", { range: "bytes=7-999" }, 206, "789", "bytes 7-9/10"],
    ["small.txt", { range: "bytes=-3" }, 206, "789", "bytes 7-9/10"],
    ["small.txt", { range: "bytes=-99" }, 206, "0123456789", "bytes 0-9/10"],
    ["small.txt", { range: "bytes=10-" }, 416, "", "bytes */10"],
    ["small.txt", { range: "bytes=-0" }, 416, "", "bytes */10"],
    ["small.txt", { range: "bytes=4-2" }, 200, "0123456789", undefined],
    ["small.txt", { range: "bytes=0-0,2-2" }, 200, "0123456789", undefined],
    ["small.txt", { range: "bytes=-" }, 200, "0123456789", undefined],
    ["small.txt", { range: "lines=1-2" }, 200, "0123456789", undefined],
    ["small.txt", { range: "bytes=0x1-2" }, 200, "0123456789", undefined],
    ["small.txt", { range: "bytes=2-4", ifRange: etag }, 206, "234", "bytes 2-4/10"],
    ["small.txt", { range: "bytes=2-4", ifRange: modified }, 206, "234", "bytes 2-4/10"],
    ["small.txt", { range: "bytes=2-4", ifRange: `W/${etag}` }, 200, "0123456789", undefined],
    ["small.txt", { range: "bytes=2-4", ifRange: '"old"' }, 200, "0123456789", undefined],
    ["large.txt", { range: "bytes=10-11" }, 206, "ab", "bytes 10-11/16"],
    ["large.txt", { range: "bytes=16-" }, 416, "", "bytes */16"],
    ["empty.txt", { range: "bytes=0-" }, 416, "", "bytes */0"],
    ["empty.txt", {}, 200, "", undefined],
  ];
  for (const [name, fields, status, body, contentRange] of cases) {
    const result = await folder.get(name, fields);
    const label = `${name} ${JSON.stringify(fields)}`;
    assert.equal(result.status, status, label);
    assert.equal((await bytesOf(result)).toString(), body, label);
    assert.equal(field(result, "content-range"), contentRange, label);
  }
});

void test("compressed neighbours by the client's weights, each with a tag of its own", async (t) => {
  const folder = staticFolder(t);
  folder.write("app.js", "x".repeat(1000));
  folder.write("app.js.gz", "g".repeat(30));
  folder.write("app.js.br", "b".repeat(20));
  folder.write("app.js.zst", "z".repeat(25));
  folder.write("plain.js", "plain");
  const cases: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ["", undefined],
    ["gzip, deflate, br, zstd", "br"],
    ["gzip, deflate, zstd", "zstd"],
    ["gzip", "gzip"],
    ["x-gzip", "gzip"],
    ["GZIP;Q=0.5", "gzip"],
    ["gzip;q=1.0, br;q=0.9", "gzip"],
    ["gzip;q=0, br;q=0, zstd;q=0", undefined],
    ["*", "br"],
    ["*;q=0.1, gzip", "gzip"],
    ["br;q=0, *", "zstd"],
    ["identity, gzip;q=0.5", undefined],
    ["identity;q=0.5, gzip;q=0.2", undefined],
    ["identity;q=0, gzip", "gzip"],
    ["deflate", undefined],
    ["gzip;q=2", undefined],
  ];
  const tags = new Set<string>();
  for (const [acceptEncoding, coding] of cases) {
    const result = await folder.get("app.js", { acceptEncoding });
    assert.equal(result.status, 200, `${acceptEncoding}`);
    assert.equal(field(result, "content-encoding"), coding, `${acceptEncoding}`);
    assert.equal(field(result, "vary"), "Accept-Encoding");
    assert.equal(field(result, "content-type"), "text/javascript; charset=utf-8");
    assert.equal((await bytesOf(result)).toString()[0], coding === undefined ? "x" : coding[0]);
    tags.add(field(result, "etag") ?? "");
  }
  assert.equal(tags.size, 4);
  for (const acceptEncoding of ["identity;q=0", "*;q=0"])
    assert.equal((await folder.get("app.js", { acceptEncoding })).status, 406);
  const plain = await folder.get("plain.js", { acceptEncoding: "gzip, br" });
  assert.deepEqual([field(plain, "vary"), field(plain, "content-encoding")], [undefined, undefined]);

  // A neighbour that comes or goes is noticed like any other change.
  rmSync(join(folder.folder, "app.js.br"));
  folder.write("plain.js.gz", "g");
  folder.now += 1000;
  assert.equal(field(await folder.get("app.js", { acceptEncoding: "br, zstd" }), "content-encoding"), "zstd");
  assert.equal(field(await folder.get("plain.js", { acceptEncoding: "gzip" }), "content-encoding"), "gzip");
});

void test("names that Django hashed are kept for good: by the manifest, by their form where there is none", async (t) => {
  const folder = staticFolder(t);
  const cacheOf = async (name: string): Promise<string | undefined> => {
    folder.now += 1000;
    return field(await folder.get(name), "cache-control");
  };
  const good = "public, max-age=31536000, immutable";
  const hour = "public, max-age=3600";
  for (const name of [
    "css/a.27e20196a850.css",
    "css/a.css",
    "odd.css",
    "b.0123456789ab.js",
    "b.0123456789ab.js.map",
  ])
    folder.write(name, "x");
  assert.equal(await cacheOf("css/a.27e20196a850.css"), good);
  assert.equal(await cacheOf("b.0123456789ab.js.map"), good);
  assert.equal(await cacheOf("css/a.css"), hour);

  const paths = { "css/a.css": "css/a.27e20196a850.css", odd: "odd.css" };
  folder.write("staticfiles.json", JSON.stringify({ paths, version: "1.0" }));
  assert.equal(await cacheOf("css/a.27e20196a850.css"), good);
  assert.equal(await cacheOf("odd.css"), good, "the manifest says so");
  assert.equal(await cacheOf("b.0123456789ab.js"), hour, "not in the manifest");

  folder.write("staticfiles.json", JSON.stringify({ paths: { ...paths, b: "b.0123456789ab.js" } }), 20);
  assert.equal(await cacheOf("b.0123456789ab.js"), good, "read again when it changed");
  folder.write("staticfiles.json", "{ half a", 10);
  assert.equal(await cacheOf("odd.css"), hour);
  assert.equal(await cacheOf("b.0123456789ab.js"), good);
});

void test("keeps the memory within its bound, and holds no second copy for another spelling", async (t) => {
  const folder = staticFolder(t, { memory: 100_000, largestInMemory: 20_000 });
  for (let index = 0; index < 20; index++) folder.write(`${index}.bin`, Buffer.alloc(20_000, index));
  for (let index = 0; index < 20; index++) assert.equal((await folder.get(`${index}.bin`)).kind, "memory");
  const isAtOnce = async (name: string): Promise<boolean> => {
    const result = folder.files.lookup(`/static/${name}`, "GET", request());
    await result;
    return !(result instanceof Promise);
  };
  assert.ok((await isAtOnce("19.bin")) && (await isAtOnce("16.bin")));
  assert.ok(!(await isAtOnce("0.bin")));
  await folder.get("%31.bin");
  assert.ok((await isAtOnce("%31.bin")) && (await isAtOnce("1%2ebin")));
});

void test("a hundred requests at once for one new file read it once", async (t) => {
  const folder = staticFolder(t);
  folder.write("a.txt", "hello");
  const results = await Promise.all(Array.from({ length: 100 }, () => folder.get("a.txt")));
  assert.equal(new Set(results.map((result) => (result.kind === "memory" ? result.body : null))).size, 1);
});

void test("symlinks may lead inside the folder, and the folder may be one", async (t) => {
  const folder = staticFolder(t);
  folder.write("deep/a.txt", "inside");
  symlinkSync("deep/a.txt", join(folder.folder, "link.txt"));
  symlinkSync("deep", join(folder.folder, "alias"));
  for (const name of ["link.txt", "alias/a.txt"])
    assert.equal((await bytesOf(await folder.get(name))).toString(), "inside");

  // A deployment that switches `current` from one release to the next.
  const current = join(folder.base, "current");
  mkdirSync(join(folder.base, "next"));
  writeFileSync(join(folder.base, "next/deep.txt"), "next");
  folder.write("deep.txt", "before");
  symlinkSync(folder.folder, current);
  let now = Date.now();
  const files = createStaticFiles([{ prefix: "/static/", folder: current }], { now: () => now });
  const read = async (): Promise<string> => {
    const result = await files.lookup("/static/deep.txt", "GET", request());
    assert.ok(result);
    return (await bytesOf(result)).toString();
  };
  assert.equal(await read(), "before");
  symlinkSync(join(folder.base, "next"), `${current}.new`);
  renameSync(`${current}.new`, current);
  now += 1000;
  assert.equal(await read(), "next");
});

void test("nothing outside the folder, nothing hidden, nothing but files", async (t) => {
  const folder = staticFolder(t);
  writeFileSync(join(folder.base, "secret.txt"), "secret");
  mkdirSync(join(folder.base, "static-other"));
  writeFileSync(join(folder.base, "static-other/secret.txt"), "secret");
  for (const name of [
    "a.txt",
    ".env",
    ".git/config",
    ".well-known/x",
    "dir/index.html",
    "b\\c.txt",
    "ü.txt",
    "100%.txt",
  ])
    folder.write(name, "x");
  symlinkSync("../secret.txt", join(folder.folder, "evil.txt"));
  symlinkSync("..", join(folder.folder, "up"));
  symlinkSync("../static-other", join(folder.folder, "sibling"));
  symlinkSync("/etc", join(folder.folder, "etc"));
  symlinkSync("loop", join(folder.folder, "loop"));
  symlinkSync(".env", join(folder.folder, "env.txt"));
  symlinkSync("../secret.txt", join(folder.folder, "a.txt.gz"));
  execFileSync("mkfifo", [join(folder.folder, "fifo")]);
  const refused = [
    "",
    "dir",
    "dir/",
    "dir//index.html",
    "//a.txt",
    "../secret.txt",
    "%2e%2e/secret.txt",
    "..%2fsecret.txt",
    "%2e%2e%2fsecret.txt",
    "dir/../a.txt",
    "dir/..%2fa.txt",
    "./a.txt",
    "%2e/a.txt",
    "..",
    "%2e%2e",
    "dir%2findex.html",
    "dir%5cindex.html",
    "b\\c.txt",
    "b%5Cc.txt",
    "a.txt%00",
    "a.txt%00.png",
    "%",
    "%2",
    "%zz",
    "%ff.txt",
    "%c0%ae%c0%ae/secret.txt",
    "%252e%252e/secret.txt",
    "ü.txt",
    "\xfc.txt",
    "a.txt#x",
    "a.txt?x",
    "a txt",
    ".env",
    "%2eenv",
    ".git/config",
    ".well-known/x",
    "evil.txt",
    "up/secret.txt",
    "sibling/secret.txt",
    "etc/passwd",
    "loop",
    "fifo",
    "nowhere",
    "a.txt/",
    "a.txt/b",
    "n".repeat(256),
    `${"d/".repeat(3000)}x`,
    "%0a",
    "%7f",
  ];
  for (const name of refused) {
    const result = await folder.get(name);
    assert.deepEqual([result.kind, result.status], ["none", 404], JSON.stringify(name.slice(0, 60)));
  }
  for (const name of ["a.txt", "%61.txt", "dir/index.html", "%C3%BC.txt", "100%25.txt", "env.txt"])
    assert.equal((await folder.get(name)).status, 200, name);
  const plain = await folder.get("a.txt", { acceptEncoding: "gzip" });
  assert.equal(field(plain, "content-encoding"), undefined, "a neighbour that leads outside is none");
  const outside = await folder.get("evil.txt");
  assert.match(
    outside.kind === "none" ? (outside.logReason ?? "") : "",
    /evil\.txt is a symlink that leaves/,
  );
});
