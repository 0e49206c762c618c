import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { Paddock, type Answer } from "../parts/paddock.ts";
import { ScriptedApp } from "../parts/scripted-app.ts";

const run = promisify(execFile);
const PLAIN = "Content-Type: text/plain";
const MINUTE = "Cache-Control: max-age=60";

/** The password `secret`. */
const HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$hMOod2k8gDBl17LKTZp4CA$lpXZpy3kdWW37oBiU34H5QuymzAyg1InJUit8gs/6Qo";
const ANN = `Basic ${Buffer.from("ann:secret").toString("base64")}`;

function said({ headers }: Answer): string {
  return String(headers["cache-status"]);
}

describe("a site with a cache, one worker", () => {
  let paddock: Paddock;
  let app: ScriptedApp;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
log: { level: debug }
upstreams:
  app: { to: ["unix:${folder}/app.sock"], restartGrace: 100ms }
sites:
  - names: [app.test]
    upstream: app
    cache: { memory: 8MB }
    paths:
      /never/: { cache: false }
      /staff/: { basicAuth: { users: { ann: "${HASH}" } } }`,
    });
    app = await ScriptedApp.start(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  const get = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> =>
    paddock.get(path, { host: "app.test", headers, method });

  test("a fresh response answers the next requests, each with its own id, Age and Cache-Status", async () => {
    app.on("/fresh", () => ({ fields: [PLAIN, MINUTE, 'ETag: "a"'], body: "fresh" }));
    const first = await get("/fresh");
    const second = await get("/fresh");
    assert.equal(app.asked("/fresh").length, 1);
    assert.equal(said(first), "paddock; fwd=uri-miss; stored");
    assert.match(said(second), /^paddock; hit; ttl=(?:60|59|58)$/);
    assert.equal(second.body.toString(), "fresh");
    assert.match(String(second.headers["age"]), /^\d$/);
    assert.equal(second.headers["x-content-type-options"], "nosniff");
    assert.match(String(second.headers["x-request-id"]), /^[0-9a-f]{32}$/);
    assert.notEqual(second.headers["x-request-id"], first.headers["x-request-id"]);
  });

  test("HEAD, 304 and ranges are answered from the stored whole", async () => {
    app.on("/parts", () => ({ fields: [PLAIN, MINUTE, 'ETag: "p"'], body: "0123456789" }));
    // The client's own condition does not reach the app: it would answer 304 without a body.
    await get("/parts", { "if-none-match": '"other"' });
    assert.equal(app.asked("/parts")[0]?.fields.has("if-none-match"), false);
    const head = await get("/parts", {}, "HEAD");
    assert.equal(head.headers["content-length"], "10");
    assert.match(said(head), /; hit;/);
    // Each in the form that the client has: the weak one is that of a compressed response.
    for (const tag of ['"p"', 'W/"p"']) {
      const known = await get("/parts", { "if-none-match": tag });
      assert.equal(known.status, 304);
      assert.equal(known.headers["etag"], tag);
      assert.equal(known.body.length, 0);
    }
    const part = await get("/parts", { range: "bytes=2-4" });
    assert.equal(part.status, 206);
    assert.equal(part.body.toString(), "234");
    assert.equal(part.headers["content-range"], "bytes 2-4/10");
    assert.equal((await get("/parts", { range: "bytes=20-" })).status, 416);
    assert.equal(app.asked("/parts").length, 1);
  });

  test("a hundred requests at once are one request for the app", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    app.on("/crowd", async () => {
      await held;
      return { fields: [PLAIN, MINUTE], body: "crowd" };
    });
    const answers = Array.from({ length: 100 }, () => get("/crowd"));
    await paddock.until("the crowd to wait", async () => {
      const { body } = await paddock.plain(paddock.adminPort, "/metrics");
      return Number(/^paddock_http_requests_in_flight (\d+)$/m.exec(body.toString())?.[1]) === 100;
    });
    release();
    const all = await Promise.all(answers);
    assert.equal(app.asked("/crowd").length, 1);
    for (const answer of all) assert.equal(answer.body.toString(), "crowd");
    assert.equal(all.filter((answer) => said(answer).includes("; collapsed")).length, 99);
  });

  test("what may not be stored is for each alone, and nobody waits for another's answer", async () => {
    let count = 0;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    app.on("/own", async () => {
      const number = ++count;
      await held;
      return { fields: [PLAIN, MINUTE, `Set-Cookie: sessionid=${number}`], body: `own ${number}` };
    });
    const answers = Array.from({ length: 5 }, () => get("/own"));
    await paddock.until("one at the app", () => count === 1);
    release();
    const all = await Promise.all(answers);
    assert.equal(new Set(all.map(({ body }) => body.toString())).size, 5);
    assert.equal(new Set(all.map(({ headers }) => String(headers["set-cookie"]))).size, 5);
    assert.ok(all.some((answer) => said(answer).includes('detail="Set-Cookie"')));
    assert.match(said(await get("/own")), /could not be stored a moment ago/);
  });

  test("a nonce or a CSRF token is never stored, whatever Cache-Control says", async () => {
    const html = ["Content-Type: text/html", "Cache-Control: public, max-age=600"];
    app.on("/token", () => ({ fields: html, body: '<input name="csrfmiddlewaretoken" value="x">' }));
    app.on("/nonce", () => ({ fields: html, body: "<script nonce=abc></script>" }));
    app.on("/policy", () => ({
      fields: [...html, "Content-Security-Policy: script-src 'nonce-abc'"],
      body: "x",
    }));
    for (const [path, reason] of [
      ["/token", "CSRF token"],
      ["/nonce", "nonce"],
      ["/policy", "nonce"],
    ] as const) {
      assert.equal(said(await get(path)), `paddock; fwd=uri-miss; detail="${reason}"`);
      await get(path);
      assert.equal(app.asked(path).length, 2, path);
    }
    await paddock.until("a line about it", () =>
      /"reason":"CSRF token","msg":"not cached"/.test(paddock.output),
    );
  });

  test("an answer to Authorization is stored only where the app says that all may have it", async () => {
    const mine = { authorization: "Bearer a" };
    app.on("/account", ({ fields }) => ({
      fields: [PLAIN, MINUTE],
      body: `for ${fields.get("authorization")}`,
    }));
    app.on("/news", () => ({ fields: [PLAIN, "Cache-Control: public, max-age=60"], body: "news" }));
    assert.equal((await get("/account", mine)).body.toString(), "for Bearer a");
    assert.equal((await get("/account", { authorization: "Bearer b" })).body.toString(), "for Bearer b");
    assert.equal((await get("/account")).body.toString(), "for undefined");
    // Nor is what was stored for nobody in particular given to somebody.
    assert.equal((await get("/account", mine)).body.toString(), "for Bearer a");
    await get("/news", mine);
    assert.match(said(await get("/news")), /; hit;/);
    assert.match(said(await get("/news", mine)), /; hit;/);
  });

  test("a page behind a password is kept only if the app says so, and then behind the password", async () => {
    app.on("/staff/own", () => ({ fields: [PLAIN, MINUTE], body: "own" }));
    app.on("/staff/all", () => ({ fields: [PLAIN, "Cache-Control: public, max-age=60"], body: "all" }));
    for (const [path, hit] of [
      ["/staff/own", false],
      ["/staff/all", true],
    ] as const) {
      assert.equal((await get(path, { authorization: ANN })).status, 200);
      const again = await get(path, { authorization: ANN });
      assert.equal(said(again).includes("; hit;"), hit, path);
      assert.equal((await get(path)).status, 401);
    }
  });

  test("Vary selects: each language has its own, and a coding is not one of them", async () => {
    app.on("/hello", ({ fields }) => ({
      fields: [PLAIN, MINUTE, "Vary: Accept-Language, Accept-Encoding"],
      body: (fields.get("accept-language") ?? "none").repeat(800),
    }));
    await get("/hello", { "accept-language": "de" });
    assert.equal(said(await get("/hello", { "accept-language": "fr" })), "paddock; fwd=vary-miss; stored");
    const german = await get("/hello", { "accept-language": "de", "accept-encoding": "gzip" });
    assert.match(said(german), /; hit;/);
    assert.equal(german.headers["content-encoding"], "gzip");
    assert.match(String(german.headers["vary"]), /accept-language, accept-encoding/i);
    assert.equal(app.asked("/hello").length, 2);
    assert.ok(app.asked("/hello").every(({ fields }) => !fields.has("accept-encoding")));
  });

  test("stale-while-revalidate answers at once and asks behind the client's back", async () => {
    let count = 0;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    app.on("/swr", async ({ fields }) => {
      const number = ++count;
      if (number === 2) {
        assert.equal(fields.get("if-none-match"), '"v"');
        await held;
        return { status: 304, fields: ["Cache-Control: max-age=60", 'ETag: "v"'] };
      }
      return {
        fields: [PLAIN, "Cache-Control: max-age=0, stale-while-revalidate=60", 'ETag: "v"'],
        body: "swr",
      };
    });
    await get("/swr");
    // The app holds the second request back, and still both are answered.
    for (let time = 0; time < 2; time++) {
      const stale = await get("/swr");
      assert.equal(stale.body.toString(), "swr");
      assert.match(said(stale), /; hit; ttl=-\d$/);
    }
    assert.equal(count, 2);
    release();
    await paddock.until("a fresh one", async () => /ttl=[1-9]/.test(said(await get("/swr"))));
    assert.equal(count, 2);
  });

  test("a stale response is asked after with its validators, and a 304 makes it fresh", async () => {
    app.on("/check", ({ fields }) =>
      fields.get("if-none-match") === '"c"'
        ? { status: 304, fields: ["Cache-Control: max-age=60", "X-Seen: again"] }
        : { fields: [PLAIN, "Cache-Control: max-age=1", 'ETag: "c"', "X-Seen: first"], body: "check" },
    );
    await get("/check");
    await sleep(1100);
    const checked = await get("/check");
    assert.equal(checked.status, 200);
    assert.equal(checked.body.toString(), "check");
    assert.equal(checked.headers["x-seen"], "again");
    assert.match(said(checked), /^paddock; fwd=stale; fwd-status=304; ttl=/);
    assert.match(said(await get("/check")), /; hit;/);
    assert.equal(app.asked("/check").length, 2);
  });

  test("only-if-cached is answered 504 where nothing is stored, and no-cache does not make the app work", async () => {
    app.on("/only", () => ({ fields: [PLAIN, MINUTE], body: "only" }));
    assert.equal((await get("/only", { "cache-control": "only-if-cached" })).status, 504);
    await get("/only", { "cache-control": "no-store" });
    await get("/only");
    assert.equal(app.asked("/only").length, 2, "no-store is not stored");
    assert.match(said(await get("/only", { "cache-control": "no-cache", pragma: "no-cache" })), /; hit;/);
    assert.match(said(await get("/only", { "cache-control": "only-if-cached" })), /; hit;/);
  });

  test("X-Accel-Expires rules over Cache-Control and goes no further", async () => {
    app.on("/accel", () => ({ fields: [PLAIN, "X-Accel-Expires: 60"], body: "accel" }));
    app.on("/zero", () => ({ fields: [PLAIN, MINUTE, "X-Accel-Expires: 0"], body: "zero" }));
    await get("/accel");
    const hit = await get("/accel");
    assert.match(said(hit), /; hit; ttl=/);
    assert.equal(hit.headers["x-accel-expires"], undefined);
    await get("/zero");
    await get("/zero");
    assert.equal(app.asked("/zero").length, 2);
  });

  test("nothing is cached below a path that says so, nor a path with two readings", async () => {
    app.on("/never/page", () => ({ fields: [PLAIN, MINUTE], body: "never" }));
    assert.equal((await get("/never/page")).headers["cache-status"], undefined);
    await get("/never/page");
    assert.equal(app.asked("/never/page").length, 2);
    const twofold = "/x/..%2fnever/page";
    app.on(twofold, () => ({ fields: [PLAIN, MINUTE], body: "twofold" }));
    for (let time = 0; time < 2; time++)
      assert.equal((await get(twofold)).headers["cache-status"], undefined);
  });

  test("a client that goes away does not take the page from those who wait", async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let count = 0;
    app.on("/left", async () => {
      count++;
      await held;
      return { fields: [PLAIN, MINUTE], body: "left" };
    });
    const leader = run("curl", [
      "-sk",
      "--max-time",
      "1",
      "--resolve",
      `app.test:${paddock.httpsPort}:127.0.0.1`,
      `https://app.test:${paddock.httpsPort}/left`,
    ]).catch(() => undefined);
    await paddock.until("the leader at the app", () => count === 1);
    const waiting = get("/left");
    await leader;
    await paddock.until("the next one at the app", () => count === 2);
    release();
    assert.equal((await waiting).body.toString(), "left");
  });

  test("a client that reads nothing, or leaves after the head, does not keep the page from the store", async () => {
    const body = "large ".repeat(100_000);
    app.on("/large", () => ({ fields: [PLAIN, MINUTE], body }));
    const socket = connect({
      port: paddock.httpsPort,
      host: "127.0.0.1",
      servername: "app.test",
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    // Nobody reads: what the kernel does not take stays in Paddock.
    socket.write(`GET /large HTTP/1.1\r\nHost: app.test:${paddock.httpsPort}\r\n\r\n`);
    await paddock.until("the page at the app", () => app.asked("/large").length === 1);
    const other = await get("/large");
    assert.equal(other.body.toString(), body);
    socket.destroy();
    assert.match(said(await get("/large", { "accept-encoding": "br" })), /; hit;/);
    assert.equal(app.asked("/large").length, 1);
  });

  test("what is larger than an eighth of the memory goes through and is not kept", async () => {
    const body = "x".repeat(1024 * 1024 + 1);
    app.on("/huge", () => ({ fields: [PLAIN, MINUTE], body }));
    const huge = await get("/huge");
    assert.equal(huge.body.length, body.length);
    assert.match(said(huge), /detail="too large"/);
  });

  test("a 304 about another response than the stored one is followed by a request for the whole", async () => {
    app.on("/other", ({ fields }) =>
      fields.has("if-none-match")
        ? { status: 304, fields: ['ETag: "new"'] }
        : { fields: [PLAIN, "Cache-Control: max-age=1", 'ETag: "old"'], body: "other" },
    );
    await get("/other");
    await sleep(1100);
    const answer = await get("/other");
    assert.equal(answer.status, 200);
    assert.equal(answer.body.toString(), "other");
    assert.equal(app.asked("/other").length, 3);
  });

  test("a page that may no longer be kept leaves the store", async () => {
    let personal = false;
    app.on("/turns", () =>
      personal
        ? { fields: [PLAIN, "Cache-Control: private"], body: "mine" }
        : { fields: [PLAIN, "Cache-Control: max-age=1, stale-if-error=60"], body: "ours" },
    );
    await get("/turns");
    personal = true;
    await sleep(1100);
    assert.equal((await get("/turns")).body.toString(), "mine");
    assert.match(said(await get("/turns")), /fwd=uri-miss/);
  });

  test("a page is compressed once for all who want that coding, and each time anew where it depends on a cookie", async () => {
    const text = "a page that is long enough to be compressed. ".repeat(100);
    app.on("/text", () => ({ fields: [PLAIN, MINUTE, 'ETag: "t"'], body: text }));
    app.on("/mine", () => ({ fields: [PLAIN, MINUTE, "Vary: Cookie"], body: text }));
    const bytes = async (): Promise<number> => {
      const { body } = await paddock.plain(paddock.adminPort, "/metrics");
      return Number(/^paddock_cache_bytes\{site="app.test"\} (\d+)$/m.exec(body.toString())?.[1]);
    };
    const lengths = new Set<string>();
    await get("/text");
    await get("/mine");
    const before = await bytes();
    for (let count = 0; count < 12; count += 1) {
      const mine = await get("/mine", { "accept-encoding": "gzip" });
      assert.equal(gunzipSync(mine.body).toString(), text);
      lengths.add(String(mine.headers["content-length"]));
    }
    assert.equal(await bytes(), before);
    assert.ok(lengths.size > 1, "its length is hidden");
    const first = await get("/text", { "accept-encoding": "gzip" });
    await paddock.until("the form to be kept", async () => (await bytes()) > before);
    const kept = await get("/text", { "accept-encoding": "gzip", cookie: "a=b" });
    assert.equal((await bytes()) - before, kept.body.length);
    const head = await get("/text", { "accept-encoding": "gzip" }, "HEAD");
    for (const answer of [first, kept, head]) {
      assert.equal(answer.headers["content-encoding"], "gzip");
      assert.equal(answer.headers["etag"], 'W/"t"');
      assert.match(String(answer.headers["vary"]), /accept-encoding/i);
      assert.match(said(answer), /; hit;/);
      assert.match(String(answer.headers["x-request-id"]), /^[0-9a-f]{32}$/);
    }
    assert.notEqual(first.headers["x-request-id"], kept.headers["x-request-id"]);
    assert.equal(gunzipSync(kept.body).toString(), text);
    assert.equal(head.headers["content-length"], String(kept.body.length));
    assert.equal((await get("/text")).body.toString(), text);
    const part = await get("/text", { "accept-encoding": "gzip", range: "bytes=0-5" });
    assert.equal(part.body.toString(), "a page");
    assert.equal((await get("/text", { "accept-encoding": "gzip", "if-none-match": 'W/"t"' })).status, 304);
    assert.equal(app.asked("/text").length, 1);
  });

  test("over HTTP/2 a page comes from the same store", async () => {
    const { stdout } = await run("curl", [
      "-sk",
      "--http2",
      "--max-time",
      "20",
      "-D",
      "-",
      "--resolve",
      `app.test:${paddock.httpsPort}:127.0.0.1`,
      `https://app.test:${paddock.httpsPort}/fresh`,
    ]);
    assert.match(stdout, /^HTTP\/2 200/);
    assert.match(stdout, /cache-status: paddock; hit; ttl=/);
    assert.match(stdout, /\r\n\r\nfresh$/);
  });

  test("counts what became of the requests", async () => {
    const { body } = await paddock.plain(paddock.adminPort, "/metrics");
    for (const outcome of ["hit", "miss", "stale", "bypass", "collapsed", "revalidated"])
      assert.match(
        body.toString(),
        new RegExp(`^paddock_cache_requests_total\\{site="app.test",outcome="${outcome}"\\} [1-9]`, "m"),
      );
    assert.match(body.toString(), /^paddock_cache_bytes\{site="app.test"\} [1-9]\d{3}/m);
  });

  // The last one: the app is gone afterwards.
  test("stale-if-error answers while the app fails, and while it is not there", async () => {
    let fails = false;
    app.on("/sie", () =>
      fails
        ? { status: 500, body: "trace" }
        : { fields: [PLAIN, "Cache-Control: max-age=0, stale-if-error=60"], body: "sie" },
    );
    app.on("/strict", () => ({
      fields: [PLAIN, "Cache-Control: max-age=1, must-revalidate, stale-if-error=60"],
      body: "strict",
    }));
    await get("/sie");
    await get("/strict");
    fails = true;
    const failed = await get("/sie");
    assert.equal(failed.status, 200);
    assert.equal(failed.body.toString(), "sie");
    assert.match(said(failed), /^paddock; fwd=stale; fwd-status=500; ttl=-?\d; detail="stale-if-error"$/);
    await app.stop();
    const [gone, other] = await Promise.all([get("/sie"), get("/sie")]);
    for (const answer of [gone, other]) {
      assert.equal(answer.status, 200);
      assert.match(said(answer), /fwd-status=502/);
    }
    await sleep(1000);
    assert.equal((await get("/strict")).status, 502);
  });
});
