import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { startRawApp } from "../parts/app.ts";
import { Paddock, type Answer } from "../parts/paddock.ts";
import { decode } from "../compression/decode.ts";

const run = promisify(execFile);
const LARGE = 3_000_000;
const large = Buffer.from(Array.from({ length: LARGE }, (_, at) => at % 251));

for (const workerClass of ["sync", "gthread"] as const) {
  describe(`files that Django under Gunicorn's ${workerClass} workers names`, () => {
    let paddock: Paddock;
    let gunicorn: Gunicorn;

    before(async () => {
      paddock = await Paddock.start({
        yaml: (folder) => {
          mkdirSync(`${folder}/files/sub/deep`, { recursive: true });
          writeFileSync(`${folder}/files/some file ü.pdf`, "a small file");
          writeFileSync(`${folder}/files/100 % sure.txt`, "sure");
          writeFileSync(`${folder}/files/sub/deep/.hidden`, "hidden");
          writeFileSync(`${folder}/files/large.bin`, large);
          writeFileSync(`${folder}/files/table.csv`, "a,b,c\n".repeat(2000));
          writeFileSync(`${folder}/files/table.csv.gz`, "of somebody else");
          writeFileSync(`${folder}/files/empty.txt`, "");
          writeFileSync(`${folder}/secret.txt`, "secret");
          symlinkSync(`${folder}/secret.txt`, `${folder}/files/link.txt`);
          return `issuers: [{ local: true }]
sites:
  - { names: [app.test], upstream: "unix:${folder}/app.sock", internal: { /protected/: "${folder}/files/" } }`;
        },
      });
      const { folder } = paddock;
      gunicorn = await startGunicorn({ folder, socket: `${folder}/app.sock`, workerClass });
    });

    after(async () => {
      await gunicorn.stop();
      await paddock.stop();
    });

    const url = (name: string, query = ""): string => `/send/?name=${encodeURIComponent(name)}${query}`;
    const get = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> =>
      paddock.get(path, { host: "app.test", headers, method });

    test("the path quoted or as bytes, and X-Sendfile; the app's type, disposition and cookies stay", async () => {
      for (const how of ["quoted", "raw", "xsendfile"]) {
        const { status, headers, body } = await get(url("some file ü.pdf", `&how=${how}`));
        assert.equal(status, 200, how);
        assert.equal(body.toString(), "a small file");
        assert.equal(headers["content-length"], "12");
        assert.equal(headers["content-type"], "application/pdf");
        assert.equal(headers["content-disposition"], "attachment; filename*=UTF-8''some%20file%20%C3%BC.pdf");
        assert.match(String(headers["set-cookie"]), /^seen=1/);
        assert.equal(headers["accept-ranges"], "bytes");
        assert.equal(headers["cache-control"], undefined, "that is for the app to say");
        assert.equal(headers["x-accel-redirect"], undefined);
        assert.equal(headers["x-sendfile"], undefined);
        assert.equal(headers["x-frame-options"], "DENY");
      }
      assert.equal((await get(url("100 % sure.txt", "&how=raw"))).body.toString(), "sure");
      assert.equal((await get(url("100 % sure.txt"))).body.toString(), "sure");
      assert.equal((await get(url("sub/deep/.hidden"))).body.toString(), "hidden");
      const empty = await get(url("empty.txt"));
      assert.deepEqual([empty.status, empty.headers["content-length"], empty.body.length], [200, "0", 0]);
    });

    test("a query in the target does not count, nor do the app's validators and coding of its empty body", async () => {
      const { status, headers, body } = await get(
        url(
          "/protected/table.csv?download=1",
          "&how=literal&field=ETag:%22mine%22&field=Content-Encoding:gzip",
        ) +
          "&field=Last-Modified:Thu, 01 Jan 1970 00:00:00 GMT&field=Content-Type:text/x-mine".replaceAll(
            " ",
            "%20",
          ),
      );
      assert.equal(status, 200);
      assert.equal(headers["content-encoding"], undefined);
      assert.equal(headers["content-type"], "text/x-mine");
      assert.notEqual(headers.etag, '"mine"');
      assert.doesNotMatch(headers["last-modified"] ?? "", /1970/);
      assert.equal(body.length, 12_000);
    });

    test("other fields of the app stay, as a Content-Security-Policy for what somebody uploaded", async () => {
      const fields = ["Content-Security-Policy:sandbox", "Cache-Control:private", "X-Robots-Tag:none"];
      const query = fields.map((field) => `&field=${encodeURIComponent(field)}`).join("");
      const { headers } = await get(url("empty.txt", query));
      assert.equal(headers["content-security-policy"], "sandbox");
      assert.equal(headers["cache-control"], "private");
      assert.equal(headers["x-robots-tag"], "none");
    });

    test("ranges, conditions and HEAD are those of the file", async () => {
      const path = url("large.bin");
      const whole = await get(path);
      assert.deepEqual(whole.body, large);
      const { etag = "", "last-modified": modified = "" } = whole.headers;
      const part = await get(path, { range: "bytes=1000-1999" });
      assert.equal(part.status, 206);
      assert.equal(part.headers["content-range"], `bytes 1000-1999/${LARGE}`);
      assert.equal(part.headers["content-length"], "1000");
      assert.deepEqual(part.body, large.subarray(1000, 2000));
      const resumed = await get(path, { range: `bytes=${LARGE - 5}-`, "if-range": etag });
      assert.deepEqual([resumed.status, resumed.body], [206, large.subarray(LARGE - 5)]);
      assert.equal((await get(path, { range: "bytes=0-1", "if-range": '"old"' })).status, 200);
      const beyond = await get(path, { range: `bytes=${LARGE}-` });
      assert.deepEqual([beyond.status, beyond.headers["content-range"]], [416, `bytes */${LARGE}`]);
      for (const condition of [{ "if-none-match": etag }, { "if-modified-since": modified }]) {
        const same = await get(path, condition);
        assert.deepEqual([same.status, same.headers.etag, same.body.length], [304, etag, 0]);
        assert.equal(same.headers["content-disposition"], undefined);
      }
      assert.equal((await get(path, { "if-none-match": '"old"' })).status, 200);
      const head = await get(path, {}, "HEAD");
      assert.deepEqual(
        [head.status, head.headers["content-length"], head.headers.etag],
        [200, String(LARGE), etag],
      );
    });

    test("a POST gets the whole file, as by GET", async () => {
      const answer = await paddock.get(url("large.bin"), {
        host: "app.test",
        method: "POST",
        headers: { range: "bytes=0-1", "if-none-match": "*" },
        body: Buffer.from("x=1"),
      });
      assert.deepEqual([answer.status, answer.body], [200, large]);
    });

    test("compressed once, by the app's type, with a weak tag, and never from a neighbour", async () => {
      const plain = await get(url("table.csv"));
      for (const coding of ["gzip", "zstd"] as const) {
        const { headers, body } = await get(url("table.csv"), { "accept-encoding": coding });
        assert.equal(headers["content-encoding"], coding);
        assert.deepEqual(decode(coding, body), plain.body);
        assert.equal(headers.etag, `W/${plain.headers.etag}`);
        assert.equal(headers.vary, "Cookie, Accept-Encoding".slice("Cookie, ".length));
        const same = await get(url("table.csv"), {
          "accept-encoding": coding,
          "if-none-match": headers.etag ?? "",
        });
        assert.deepEqual([same.status, same.headers.etag], [304, headers.etag]);
      }
      const archive = await get(url("table.csv.gz"), { "accept-encoding": "gzip" });
      assert.equal(archive.body.toString(), "of somebody else");
    });

    test("the same over HTTP/2, by curl", async () => {
      const to = `https://app.test:${paddock.httpsPort}`;
      const args = ["--max-time", "20", "--http2", "-s", "--cacert", paddock.rootPath];
      args.push("--resolve", `app.test:${paddock.httpsPort}:127.0.0.1`);
      const curl = async (...more: string[]): Promise<Buffer> =>
        (await run("curl", [...args, ...more], { encoding: "buffer", maxBuffer: 2 * LARGE })).stdout;
      assert.deepEqual(await curl(to + url("large.bin")), large);
      assert.deepEqual(await curl("-r", "5-9", to + url("large.bin")), large.subarray(5, 10));
      assert.equal((await curl(to + url("some file ü.pdf"))).toString(), "a small file");
      assert.equal(
        (
          await curl("-o", "/dev/null", "-w", "%{http_version} %{response_code}", to + url("gone"))
        ).toString(),
        "2 404",
      );
    });

    test("what leaves the folder, or is below no prefix, is refused, and the log says how to allow it", async () => {
      const cases: [string, number, RegExp][] = [
        [url("gone.pdf"), 404, /the app named .*\/files\/gone\.pdf, and there is no such file/],
        [url("sub"), 404, /\/files\/sub, and there is no such file/],
        [url("link.txt"), 404, /link\.txt is a symlink that leaves/],
        [url("../secret.txt"), 502, /no absolute path without dot segments/],
        [url("/protected/%2e%2e/secret.txt", "&how=literal"), 502, /without dot segments/],
        [url("/protected/a%00b", "&how=literal"), 502, /no absolute path/],
        [url("/protected/%ff", "&how=literal"), 502, /is not UTF-8/],
        [url("/protected/", "&how=literal"), 502, /below no prefix of internal/],
        [url("/whoami/", "&how=literal"), 502, /below no prefix of internal; add it to the site's internal/],
        [url("https://example.com/", "&how=literal"), 502, /no absolute path/],
        [
          url("/etc/hostname", "&how=xsendfile-literal"),
          502,
          /X-Sendfile: \/etc\/hostname, which is inside no folder/,
        ],
        [url(`${paddock.folder}/filesystem`, "&how=xsendfile-literal"), 502, /inside no folder of internal/],
        [url(`${paddock.folder}/files/../secret.txt`, "&how=xsendfile-literal"), 502, /without dot segments/],
      ];
      for (const [path, status, cause] of cases) {
        const answer = await get(path);
        assert.equal(answer.status, status, path);
        assert.equal(answer.headers.server, "paddock");
        assert.ok(!answer.body.includes(paddock.folder) && !answer.body.includes("secret"), path);
        const line = () =>
          paddock.output.split("\n").find((one) => one.includes(String(answer.headers["x-request-id"])));
        await paddock.until("the log line", () => line() !== undefined);
        assert.match((JSON.parse(line() as string) as { cause: string }).cause, cause);
      }
    });

    test("no client reaches the prefix, or has a say by a field of its own", async () => {
      assert.equal((await get("/protected/large.bin")).headers.server, "gunicorn", "the app's own 404");
      const own = await get("/whoami/", {
        "x-accel-redirect": "/protected/large.bin",
        "x-sendfile": "/etc/passwd",
      });
      assert.equal(own.headers["content-type"], "application/json");
    });
  });
}

describe("an app that names a file", () => {
  test("and goes on writing is not listened to: the client has the file, and the connection is gone", async () => {
    const closed: string[] = [];
    const paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/files`);
        writeFileSync(`${folder}/files/a.txt`, "the file");
        return `issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock", internal: { /p/: "${folder}/files" } }]`;
      },
    });
    const app = await startRawApp(`${paddock.folder}/app.sock`, (socket, head) => {
      const path = head.split(" ")[1] ?? "";
      socket.on("close", () => closed.push(path));
      const framing =
        path === "/length"
          ? "Content-Length: 999999"
          : path === "/chunked"
            ? "Transfer-Encoding: chunked"
            : "X: y";
      socket.write(`HTTP/1.1 200 OK\r\nX-Accel-Redirect: /p/a.txt\r\n${framing}\r\n\r\n`);
      if (path === "/chunked") setImmediate(() => socket.write("5\r\nhello\r\n"));
    });
    try {
      for (const path of ["/length", "/chunked", "/close"]) {
        const { status, body } = await paddock.get(path);
        assert.deepEqual([status, body.toString()], [200, "the file"], path);
        await paddock.until("the connection to close", () => closed.includes(path));
      }
    } finally {
      await app.stop();
      await paddock.stop();
    }
  });

  test("sets the client's rate, for the file and for its own body: what is over a second's worth waits", async () => {
    const paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/files`);
        writeFileSync(`${folder}/files/large.bin`, large);
        return `issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock", internal: { /p/: "${folder}/files" } }]`;
      },
    });
    const app = await startRawApp(`${paddock.folder}/app.sock`, (socket, head) => {
      const start = "HTTP/1.1 200 OK\r\nX-Accel-Limit-Rate: 2000000\r\n";
      if (head.startsWith("GET /file "))
        socket.write(`${start}X-Accel-Redirect: /p/large.bin\r\nContent-Length: 0\r\n\r\n`);
      else socket.write(Buffer.concat([Buffer.from(`${start}Content-Length: ${LARGE}\r\n\r\n`), large]));
    });
    try {
      for (const path of ["/file", "/own"]) {
        const start = performance.now();
        const { body, headers } = await paddock.get(path);
        assert.deepEqual(body, large);
        // 3 MB at 2 MB a second, of which the first second's 2 MB go at once.
        assert.ok(performance.now() - start >= 400, path);
        assert.equal(headers["x-accel-limit-rate"], undefined);
      }
      // The rate is each response's own, also where two share a connection.
      const session = connectHttp2(`https://127.0.0.1:${paddock.httpsPort}`, {
        servername: "app.test",
        rejectUnauthorized: false,
        settings: { initialWindowSize: 2 ** 31 - 1 },
      });
      session.on("connect", () => session.setLocalWindowSize(2 ** 31 - 1));
      await Promise.all(
        ["/file", "/own"].map(async (path) => {
          const start = performance.now();
          const stream = session.request({ ":path": path, ":authority": "app.test" });
          const response = once(stream, "response");
          const parts: Buffer[] = [];
          for await (const part of stream) parts.push(part as Buffer);
          assert.deepEqual(Buffer.concat(parts), large);
          assert.ok(performance.now() - start >= 400, `${path} over HTTP/2`);
          const [headers] = (await response) as [Record<string, string>];
          assert.equal(headers["x-accel-limit-rate"], undefined);
        }),
      );
      session.close();
    } finally {
      await app.stop();
      await paddock.stop();
    }
  });

  test("a folder that a reload adds can be read at once, with new workers", async () => {
    const paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/files`);
        writeFileSync(`${folder}/files/a.txt`, "the file");
        return `issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock" }]`;
      },
    });
    const app = await startRawApp(`${paddock.folder}/app.sock`, (socket) =>
      socket.write("HTTP/1.1 200 OK\r\nX-Accel-Redirect: /p/a.txt\r\nContent-Length: 0\r\n\r\n"),
    );
    try {
      assert.equal((await paddock.get("/")).status, 502, "never an empty page, and never the field");
      await paddock.edit((yaml) =>
        yaml.replace('app.sock"', `app.sock", internal: { /p/: "${paddock.folder}/files" }`),
      );
      assert.match((await paddock.command("reload")).stdout, /^applied; workers: replaced$/m);
      assert.equal((await paddock.get("/")).body.toString(), "the file");
      assert.match((await paddock.command("status")).stdout, /internal \/p\/ → .*\/files\n/);
    } finally {
      await app.stop();
      await paddock.stop();
    }
  });
});
