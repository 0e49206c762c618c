import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { request } from "node:https";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CODINGS, decode, GrowingDecoder, type Compression } from "../compression/decode.ts";
import { startRawApp } from "../parts/app.ts";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock, type Answer } from "../parts/paddock.ts";

const run = promisify(execFile);

describe("compression of what Django under Gunicorn answers", () => {
  let paddock: Paddock;
  let gunicorn: Gunicorn;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - { names: [app.test], upstream: "unix:${folder}/app.sock" }
  - { names: [plain.test], upstream: "unix:${folder}/app.sock", compress: false }
  - { names: [raw.test], upstream: "unix:${folder}/raw.sock" }`,
    });
    const { folder } = paddock;
    gunicorn = await startGunicorn({ folder, socket: `${folder}/app.sock`, workerClass: "gthread" });
  });

  after(async () => {
    await gunicorn.stop();
    await paddock.stop();
  });

  const get = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> =>
    paddock.get(path, { host: "app.test", headers, method });

  /** A response whose body the test reads itself. */
  async function open(path: string, headers: Record<string, string>): Promise<IncomingMessage> {
    const asked = request({
      host: "127.0.0.1",
      port: paddock.httpsPort,
      servername: "app.test",
      path,
      headers: { host: "app.test", ...headers },
      ca: await readFile(paddock.rootPath),
      agent: false,
    });
    asked.on("error", () => undefined);
    asked.end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    return response;
  }

  test("a page in each coding: decodes to the page, with its length, a weak tag and Vary", async () => {
    const plain = await get("/page/?size=30000");
    const etag = plain.headers.etag ?? "";
    assert.match(etag, /^"/);
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.equal(plain.headers.vary, "Accept-Encoding", "also for who gets it as it is");
    for (const coding of CODINGS) {
      const { headers, body } = await get("/page/?size=30000", { "accept-encoding": coding });
      assert.equal(headers["content-encoding"], coding);
      assert.equal(headers["content-length"], String(body.length), "whole, so its length is known");
      assert.ok(body.length < 10_000);
      assert.deepEqual(decode(coding, body), plain.body);
      assert.equal(headers.etag, `W/${etag}`);
      assert.equal(headers.vary, "Accept-Encoding");
      assert.equal(headers["content-type"], plain.headers["content-type"]);
    }
  });

  test("the client's weights decide, the server's order among equals", async () => {
    for (const [accept, coding] of [
      ["gzip, deflate, br, zstd", "zstd"],
      ["gzip, br", "br"],
      ["gzip, br;q=0.5", "gzip"],
      ["zstd;q=0, *", "br"],
      ["deflate", undefined],
      ["identity, gzip;q=0.9", undefined],
    ] as const) {
      const { headers } = await get("/page/?size=2000", { "accept-encoding": accept });
      assert.equal(headers["content-encoding"], coding, accept);
    }
  });

  test("never: small, no-transform of either side, ranges, encoded already, digests, other types, 204, 206", async () => {
    const gzip = { "accept-encoding": "gzip" };
    const cases: [string, Record<string, string>, string | undefined][] = [
      ["size=1023", gzip, undefined],
      ["size=1024", gzip, "gzip"],
      ["size=2000&field=Cache-Control:public, No-Transform", gzip, undefined],
      ["size=2000&field=Cache-Control:private", gzip, "gzip"],
      ["size=2000", { ...gzip, "cache-control": "no-transform" }, undefined],
      ["size=2000&field=Content-Encoding:br", gzip, "br"],
      ["size=2000&status=206&field=Content-Range:bytes 0-1999/9000", gzip, undefined],
      ["size=2000&field=Content-Range:bytes 0-1999/9000", gzip, undefined],
      ["size=2000&status=206", gzip, undefined],
      ["size=2000&field=Repr-Digest:sha-256=:AAAA:", gzip, undefined],
      ["size=2000&field=Content-Type:text/event-stream", gzip, undefined],
      ["size=2000&field=Content-Type:image/png", gzip, undefined],
      ["size=2000&field=Content-Type:application/pdf", gzip, undefined],
      ["size=2000&field=Content-Type:image/svg%2Bxml", gzip, "gzip"],
      ["size=2000&field=Content-Type:application/vnd.api%2Bjson", gzip, "gzip"],
      ["size=2000&status=500", gzip, "gzip"],
      ["size=2000&field=X-Accel-Buffering:no", gzip, "gzip"],
    ];
    for (const [query, headers, coding] of cases) {
      const answer = await get(`/page/?${query.replaceAll(" ", "%20")}`, headers);
      assert.equal(answer.headers["content-encoding"], coding, query);
      if (coding === undefined) {
        assert.equal(answer.headers["content-length"], String(answer.body.length), query);
        assert.doesNotMatch(answer.headers.etag ?? '"', /^W/, query);
        if (headers["cache-control"] === undefined) assert.equal(answer.headers.vary, undefined, query);
      }
    }
    const off = await paddock.get("/page/?size=2000", { host: "plain.test", headers: gzip });
    assert.equal(off.headers["content-encoding"], undefined);
    assert.equal(off.headers.vary, undefined);
  });

  test("Vary is merged with the app's and never doubled", async () => {
    for (const [vary, expected] of [
      ["Cookie", "Cookie, Accept-Encoding"],
      ["Cookie, accept-encoding", "Cookie, accept-encoding"],
      ["*", "*"],
    ]) {
      for (const accept of ["gzip", "identity"]) {
        const { headers } = await get(`/page/?size=2000&field=Vary:${encodeURIComponent(vary ?? "")}`, {
          "accept-encoding": accept,
        });
        assert.equal(headers.vary, expected);
      }
    }
  });

  test("a page that is weakly the same is a 304, with the tag that the client has and Vary", async () => {
    const gzip = { "accept-encoding": "gzip" };
    const weak = (await get("/page/?size=3000", gzip)).headers.etag ?? "";
    assert.match(weak, /^W\/"/);
    const strong = weak.slice(2);
    for (const tag of [weak, strong]) {
      const { status, headers, body } = await get("/page/?size=3000", { ...gzip, "if-none-match": tag });
      assert.equal(status, 304);
      assert.equal(headers.etag, tag);
      assert.equal(headers.vary, "Accept-Encoding");
      assert.equal(headers["content-encoding"], undefined);
      assert.equal(body.length, 0);
    }
    assert.equal((await get("/page/?size=3000", { ...gzip, "if-none-match": 'W/"other"' })).status, 200);
    // Compared strongly (RFC 9110 section 13.1.1): a weak tag matches nothing, and no update is lost.
    assert.equal((await get("/page/?size=3000", { ...gzip, "if-match": weak })).status, 412);
    assert.equal((await get("/page/?size=3000", { ...gzip, "if-match": strong })).status, 200);
  });

  test("HEAD has the fields of GET, without a length that nobody knows", async () => {
    // Django's own ETag is there for GET alone.
    const path = "/page/?size=3000&field=ETag:%22a%22";
    const head = async (accept: string): Promise<Answer> =>
      await get(path, { "accept-encoding": accept }, "HEAD");
    const whole = (await get(path, { "accept-encoding": "br" })).headers;
    const compressed = await head("br");
    for (const name of ["content-encoding", "etag", "vary", "content-type"] as const)
      assert.equal(compressed.headers[name], whole[name], name);
    assert.equal(compressed.headers["content-length"], undefined);
    assert.equal(compressed.body.length, 0);
    const plain = await head("identity");
    assert.equal(plain.headers["content-length"], "3000");
    assert.match(plain.headers.etag ?? "", /^"/);
  });

  for (const coding of CODINGS)
    test(`${coding}: each chunk of a slow view reaches the client before the app makes the next`, async () => {
      const runId = `steps-${coding}`;
      const response = await open(`/steps/?run=${runId}`, { "accept-encoding": coding });
      assert.equal(response.headers["content-encoding"], coding);
      assert.equal(response.headers["content-length"], undefined);
      const decoder = new GrowingDecoder(coding);
      let step = 0;
      for await (const part of response) {
        await decoder.write(part as Buffer);
        // The view waits for this file, so that a step held back here would never be followed by another.
        if (decoder.text.endsWith(`step ${step}\n`))
          writeFileSync(`${paddock.folder}/go-${runId}-${step++}`, "");
      }
      await decoder.end();
      assert.equal(decoder.text, "step 0\nstep 1\nstep 2\n");
    });

  test("the same over HTTP/2", async () => {
    const session = connect(`https://127.0.0.1:${paddock.httpsPort}`, {
      ca: await readFile(paddock.rootPath),
      servername: "app.test",
    });
    const stream = session.request({
      ":path": "/steps/?run=h2",
      ":authority": `app.test:${paddock.httpsPort}`,
      "accept-encoding": "zstd",
    });
    const decoder = new GrowingDecoder("zstd");
    let step = 0;
    for await (const part of stream) {
      await decoder.write(part as Buffer);
      if (decoder.text.endsWith(`step ${step}\n`)) writeFileSync(`${paddock.folder}/go-h2-${step++}`, "");
    }
    await decoder.end();
    session.close();
    assert.equal(decoder.text, "step 0\nstep 1\nstep 2\n");
  });

  test("an event stream is left alone, and arrives as it is made", async () => {
    const response = await open("/steps/?run=events&type=text/event-stream", { "accept-encoding": "gzip" });
    assert.equal(response.headers["content-encoding"], undefined);
    assert.equal(response.headers.vary, undefined);
    let text = "";
    let step = 0;
    for await (const part of response) {
      text += String(part);
      if (text.endsWith(`step ${step}\n`)) writeFileSync(`${paddock.folder}/go-events-${step++}`, "");
    }
    assert.equal(text, "step 0\nstep 1\nstep 2\n");
  });

  test("a client that does not read stops the app; one that goes ends the view", async () => {
    const note = `${paddock.folder}/endless-slow`;
    const response = await open("/endless/?run=slow", { "accept-encoding": "gzip" });
    assert.equal(response.headers["content-encoding"], "gzip");
    response.pause();
    const progress = (): number => (existsSync(note) ? Number(readFileSync(note, "utf8")) : 0);
    await paddock.until("the app to stand still", async () => {
      const before = progress();
      await sleep(500);
      return before > 0 && progress() === before;
    });
    // What the kernel's buffers hold, and no more; the view would go on for ever.
    assert.ok(progress() < 64 * 1024 * 1024, `${progress()} bytes written`);
    response.destroy();
    await paddock.until("the view's end", () => readFileSync(note, "utf8") === "closed");
  });

  test("BREACH: a page that sets or depends on a cookie has no steady length, another one has", async () => {
    for (const coding of CODINGS) {
      const lengths = async (path: string, headers: Record<string, string> = {}): Promise<number> => {
        const seen = new Set<number>();
        for (let turn = 0; turn < 12; turn++) {
          const answer = await get(path, { "accept-encoding": coding, ...headers });
          assert.equal(answer.headers["content-encoding"], coding);
          assert.match(decode(coding, answer.body).toString(), /^<(?:form|!doctype)/);
          seen.add(answer.body.length);
        }
        return seen.size;
      };
      assert.equal(await lengths("/page/?size=3000"), 1, coding);
      assert.ok((await lengths("/page/?size=3000", { cookie: "sessionid=a" })) > 3, coding);
      assert.ok((await lengths("/page/?size=3000", { authorization: "Basic YTpi" })) > 3, coding);
      assert.ok((await lengths("/page/?size=3000&field=Vary:Cookie")) > 3, coding);
      assert.ok((await lengths("/form/")) > 3, coding);
    }
  });

  test("a long body is whole at a client that reads in small bites", async () => {
    const encoded = await open("/page/?size=3000000", { "accept-encoding": "br" });
    const parts: Buffer[] = [];
    for await (const part of encoded) {
      parts.push(part as Buffer);
      if (parts.length % 8 === 0) await sleep(1);
    }
    const plain = await get("/page/?size=3000000");
    assert.deepEqual(decode("br", Buffer.concat(parts)), plain.body);
  });

  test("curl decodes all codings over HTTP/1.1 and HTTP/2, padded and not, whole and streamed", async () => {
    const { body } = await get("/page/?size=30000");
    for (const go of [0, 1, 2]) writeFileSync(`${paddock.folder}/go-curl-${go}`, "");
    for (const protocol of ["--http1.1", "--http2"])
      for (const coding of CODINGS)
        for (const cookie of [[], ["--cookie", "a=b"]]) {
          const curl = async (path: string): Promise<{ head: string; text: string }> => {
            const url = `https://app.test:${paddock.httpsPort}${path}`;
            const resolve = ["--resolve", `app.test:${paddock.httpsPort}:127.0.0.1`];
            const options = ["-s", "-i", "--max-time", "20", "--cacert", paddock.rootPath, ...resolve];
            const accept = ["--compressed", "-H", `Accept-Encoding: ${coding}`];
            const { stdout } = await run("curl", [...options, protocol, ...accept, ...cookie, url]);
            const [head = "", ...rest] = stdout.split("\r\n\r\n");
            return { head, text: rest.join("\r\n\r\n") };
          };
          const whole = await curl("/page/?size=30000");
          const label = `${protocol} ${coding} ${cookie.join(" ")}`;
          assert.match(whole.head, new RegExp(`content-encoding: ${coding}`), label);
          assert.equal(whole.text, body.toString(), label);
          const streamed = await curl("/steps/?run=curl&fill=9000");
          assert.match(streamed.head, new RegExp(`content-encoding: ${coding}`), label);
          assert.equal(streamed.text.replaceAll(".", ""), "step 0\nstep 1\nstep 2\n", label);
          assert.equal(streamed.text.length, 3 * 9007, label);
        }
  });

  test("a body that comes in pieces, with a length or without one, in any framing of the app", async () => {
    const text = "The gate is open. ".repeat(20_000);
    const bodies: Record<string, readonly string[]> = {
      "/length": [`Content-Length: ${text.length}`, text],
      "/chunked": [
        "Transfer-Encoding: chunked",
        `${text.length.toString(16)}\r\n${text}\r\n3\r\nend\r\n0\r\n\r\n`,
      ],
      "/close": ["Connection: close", text],
      "/small": ["Transfer-Encoding: chunked", "5\r\nsmall\r\n0\r\n\r\n"],
      "/broken": ["Transfer-Encoding: chunked", `800\r\n${"a".repeat(2048)}\r\nno size\r\n`],
    };
    const raw = await startRawApp(`${paddock.folder}/raw.sock`, (socket, head) => {
      const path = head.split(" ")[1] ?? "";
      const [field, body] = bodies[path] ?? [];
      const whole = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${field}\r\n\r\n${body}`;
      if (path === "/close") socket.end(whole);
      else socket.write(whole);
    });
    try {
      const ask = (path: string, coding: Compression): Promise<Answer> =>
        paddock.get(path, { host: "raw.test", headers: { "accept-encoding": coding } });
      for (const coding of CODINGS)
        for (const [path, expected] of [
          ["/length", text],
          ["/chunked", `${text}end`],
          ["/close", text],
        ] as const) {
          const { headers, body } = await ask(path, coding);
          assert.equal(headers["content-encoding"], coding);
          assert.equal(decode(coding, body).toString(), expected);
        }
      // All of it was in one read, so it is known to be small.
      const small = await ask("/small", "gzip");
      assert.equal(small.headers["content-encoding"], undefined);
      assert.equal(small.headers["content-length"], "5");
      assert.equal(small.body.toString(), "small");
      assert.equal((await ask("/broken", "gzip")).status, 502, "nothing had been sent yet");
      const after = await ask("/length", "gzip");
      assert.equal(decode("gzip", after.body).toString(), text);
    } finally {
      await raw.stop();
    }
  });
});
