import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { startApp, startRawApp, type App } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

const run = promisify(execFile);

describe("a site with an app and static files", () => {
  let paddock: Paddock;
  let app: App;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        writeFileSync(`${folder}/static/site.css`, "body{}");
        return `issuers: [{ local: true }]
upstreams:
  raw: { to: ["unix:${folder}/raw.sock"], restartGrace: 500ms }
sites:
  - names: [app.test, www.app.test]
    upstream: unix:${folder}/app.sock
    static: { /static/: ${folder}/static/ }
    canonical: app.test
    maxBody: 1MB
    headers: { Referrer-Policy: no-referrer, X-Powered-By: null }
  - names: [other.test]
    upstream: raw`;
      },
    });
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  test("passes the contract's fields to the app and drops the client's own", async () => {
    const { body } = await paddock.get("/a?b", {
      host: "app.test",
      headers: {
        "x-forwarded-for": "6.6.6.6",
        x_forwarded_for: "7.7.7.7",
        forwarded: "for=8.8.8.8",
        "x-kept": "1",
      },
    });
    const { fields, url } = JSON.parse(body.toString()) as { fields: string[]; url: string };
    const seen = new Map<string, string>();
    for (let index = 0; index < fields.length; index += 2)
      seen.set(fields[index]?.toLowerCase() ?? "", fields[index + 1] ?? "");
    assert.equal(url, "/a?b");
    assert.equal(seen.get("x-forwarded-for"), "127.0.0.1");
    assert.equal(seen.get("x-forwarded-proto"), "https");
    assert.equal(seen.get("x-forwarded-host"), `app.test:${paddock.httpsPort}`);
    assert.equal(seen.get("host"), `app.test:${paddock.httpsPort}`);
    assert.equal(seen.get("x-real-ip"), "127.0.0.1");
    assert.match(seen.get("x-request-id") ?? "", /^[0-9a-f]{32}$/);
    assert.equal(seen.get("x-kept"), "1");
    assert.ok(!seen.has("forwarded") && !seen.has("x_forwarded_for"));
  });

  test("sets the security headers", async () => {
    const { headers } = await paddock.get("/");
    assert.equal(headers["strict-transport-security"], "max-age=31536000");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["x-powered-by"], undefined);
  });

  test("redirects http to https and other names to the canonical one", async () => {
    const named = await paddock.plain(paddock.httpPort, "/x?y=1", { host: `app.test:${paddock.httpPort}` });
    assert.equal(named.status, 301);
    assert.equal(named.headers.location, `https://app.test:${paddock.httpsPort}/x?y=1`);
    const bare = await paddock.plain(paddock.httpPort, "/x", { host: "app.test" }, "POST");
    assert.equal(bare.status, 308);
    assert.equal(bare.headers.location, "https://app.test/x");
    const unknown = await paddock.plain(paddock.httpPort, "/", { host: "evil.test" });
    assert.equal(unknown.status, 421);
    const canonical = await paddock.get("/p", { host: "www.app.test" });
    assert.equal(canonical.headers.location, `https://app.test:${paddock.httpsPort}/p`);
  });

  test("answers 421 for a Host of another certificate", async () => {
    const { status } = await paddock.get("/", { host: "app.test", headers: { host: "other.test" } });
    assert.equal(status, 421);
  });

  test("serves static files by curl over HTTP/1.1 and HTTP/2", async () => {
    for (const protocol of ["--http1.1", "--http2"]) {
      const { stdout } = await run("curl", [
        "-s",
        "-i",
        "--max-time",
        "10",
        protocol,
        "--cacert",
        paddock.rootPath,
        "--resolve",
        `app.test:${paddock.httpsPort}:127.0.0.1`,
        `https://app.test:${paddock.httpsPort}/static/site.css`,
      ]);
      assert.match(stdout, protocol === "--http2" ? /^HTTP\/2 200/ : /^HTTP\/1.1 200/);
      assert.match(stdout, /content-type: text\/css/);
      assert.match(stdout, /body\{\}$/);
    }
  });

  test("refuses a body beyond maxBody, declared or chunked, before the app has it whole", async () => {
    const declared = await paddock.get("/up", {
      host: "app.test",
      method: "POST",
      body: Buffer.alloc(2_000_000),
    });
    assert.equal(declared.status, 413);
    const chunked = await paddock.get("/up", {
      host: "app.test",
      method: "POST",
      headers: { "transfer-encoding": "chunked" },
      body: Buffer.alloc(2_000_000),
    });
    assert.equal(chunked.status, 413);
    const fits = await paddock.get("/up", { host: "app.test", method: "POST", body: Buffer.alloc(900_000) });
    assert.equal((JSON.parse(fits.body.toString()) as { length: number }).length, 900_000);
  });

  test("502 for a missing socket, with a log line that says what to do; 504 needs an app that hangs", async () => {
    const { status, headers, body } = await paddock.get("/", {
      host: "other.test",
      headers: { accept: "application/json" },
    });
    assert.equal(status, 502);
    assert.equal(headers["content-type"], "application/problem+json");
    assert.ok(!body.toString().includes(paddock.folder));
    await paddock.until("the log line", () => paddock.output.includes("there is no socket at"));
  });

  test("a response that breaks off half-way is broken for the client, too", async () => {
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
      setTimeout(() => socket.destroy(), 50);
    });
    try {
      await assert.rejects(paddock.get("/", { host: "other.test" }), /aborted|hang up|ECONNRESET/);
    } finally {
      await raw.stop();
      rmSync(`${paddock.folder}/raw.sock`, { force: true });
    }
  });

  test("a malformed answer of the app is a 502 and its bytes go no further", async () => {
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket) => {
      socket.end("HTTP/1.1 200 OK\r\nX-Evil : 1\r\nContent-Length: 2\r\n\r\nok");
    });
    try {
      assert.equal((await paddock.get("/", { host: "other.test" })).status, 502);
    } finally {
      await raw.stop();
      rmSync(`${paddock.folder}/raw.sock`, { force: true });
    }
  });

  test("1xx of the app, HEAD, 204 and 304 keep their framing on one connection", async () => {
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket, head) => {
      const status = head.startsWith("GET /204") ? "204 No Content" : "304 Not Modified";
      socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 ${status}\r\nETag: "a"\r\n\r\n`);
    });
    try {
      assert.equal((await paddock.get("/204", { host: "other.test" })).status, 204);
      const { status, body } = await paddock.get("/304", { host: "other.test" });
      assert.equal(status, 304);
      assert.equal(body.length, 0);
    } finally {
      await raw.stop();
      rmSync(`${paddock.folder}/raw.sock`, { force: true });
    }
  });

  test("refuses an unknown server name with unrecognized_name", async () => {
    const failed = await run("sh", [
      "-c",
      `echo | timeout 10 openssl s_client -connect 127.0.0.1:${paddock.httpsPort} -servername nobody.test 2>&1 || true`,
    ]);
    assert.match(failed.stdout, /unrecognized name/);
  });

  test("speaks TLS 1.2 and 1.3 and nothing older", async () => {
    const shake = async (...options: string[]): Promise<string> =>
      (
        await run("sh", [
          "-c",
          `echo | timeout 10 openssl s_client -connect 127.0.0.1:${paddock.httpsPort} -servername app.test ${options.join(" ")} 2>&1 || true`,
        ])
      ).stdout;
    assert.match(await shake("-tls1_2"), /New, TLSv1.2, Cipher is ECDHE-ECDSA/);
    assert.match(await shake("-tls1_3"), /New, TLSv1.3/);
    assert.doesNotMatch(await shake("-tls1_1", "-cipher", "ALL@SECLEVEL=0"), /Cipher is [A-Z]+-/);
  });

  test("a malformed request never reaches the app", async () => {
    const before = app.requests.length;
    const socket = connect(paddock.httpPort, "127.0.0.1");
    socket.end("GET / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let text = "";
    for await (const part of socket) text += String(part);
    assert.match(text, /^HTTP\/1.1 400 /);
    assert.equal(app.requests.length, before);
  });

  test("/metrics satisfies promtool, /healthz and /readyz answer", async () => {
    const { body } = await paddock.plain(paddock.adminPort, "/metrics");
    const promtool = run("promtool", ["check", "metrics"]);
    promtool.child.stdin?.end(body);
    const { stderr } = await promtool.catch((error: { stderr: string }) => error);
    // promtool's style hints about Node's own metrics are not errors of format.
    assert.doesNotMatch(stderr, /paddock_|error while linting|text format parsing/);
    assert.match(
      body.toString(),
      /paddock_certificate_expiry_timestamp_seconds\{name="app.test",issuer="local"\} \d+/,
    );
    assert.equal((await paddock.plain(paddock.adminPort, "/healthz")).status, 200);
    assert.equal((await paddock.plain(paddock.adminPort, "/readyz")).status, 200);
    assert.match((await paddock.plain(paddock.adminPort, "/")).body.toString(), /app\.test/);
  });
});
