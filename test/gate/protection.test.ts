import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { startApp, startRawApp, type App } from "../parts/app.ts";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock, type Answer } from "../parts/paddock.ts";

const run = promisify(execFile);

/** The password `secret`. */
const HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$hMOod2k8gDBl17LKTZp4CA$lpXZpy3kdWW37oBiU34H5QuymzAyg1InJUit8gs/6Qo";
const basic = (credentials: string): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(credentials).toString("base64")}`,
});

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly length: number;
  readonly fields: Record<string, string>;
}

/** What the app saw, its fields by lower-case name. */
function seen({ body }: Answer): Seen {
  const { fields, ...rest } = JSON.parse(body.toString()) as Omit<Seen, "fields"> & { fields: string[] };
  const byName: Record<string, string> = {};
  for (let index = 0; index < fields.length; index += 2)
    byName[(fields[index] as string).toLowerCase()] = fields[index + 1] as string;
  return { ...rest, fields: byName };
}

describe("a site with rules", () => {
  let paddock: Paddock;
  let app: App;

  const get = (path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> =>
    paddock.get(path, { host: "app.test", headers, method });
  const curl = async (...options: string[]): Promise<string> => {
    const base = [
      "-s",
      "--max-time",
      "20",
      "--cacert",
      paddock.rootPath,
      "--resolve",
      `app.test:${paddock.httpsPort}:127.0.0.1`,
    ];
    return (await run("curl", [...base, ...options])).stdout;
  };

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static/private`, { recursive: true });
        writeFileSync(`${folder}/static/private/plan.txt`, "the plan");
        writeFileSync(`${folder}/staff`, `ann:${HASH}\n`);
        return `issuers: [{ local: true }]
sites:
  - names: [app.test, www.app.test]
    canonical: app.test
    upstream: unix:${folder}/app.sock
    static: { /static/: ${folder}/static/ }
    paths:
      /denied/: { deny: [127.0.0.0/8, "::1"] }
      /denied/not/: { deny: [] }
      /inside/: { allow: ["::1", 127.0.0.1] }
      /outside/: { allow: [10.0.0.0/8, "2001:db8::/32"] }
      /slow/: { rateLimit: { requests: 6/m, burst: 2 } }
      /spread/: { rateLimit: { requests: 6/m, burst: 4 } }
      /keyed/: { rateLimit: { requests: 1/h, burst: 1, key: "header:X-Api-Key" } }
      /read/: { methods: [GET] }
      /admin/: { basicAuth: { realm: Staff, usersFile: staff } }
      /admin/open/: { basicAuth: false }
      /static/private/: { basicAuth: { usersFile: staff } }
      /guess/: { basicAuth: { usersFile: staff } }`;
      },
    });
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  test("deny and allow go by the client's address, and a longer prefix may say otherwise", async () => {
    assert.equal((await get("/denied/x")).status, 403);
    assert.equal((await get("/denied/not/x")).status, 200);
    assert.equal((await get("/inside/x")).status, 200);
    const outside = await get("/outside/x", { accept: "application/json" });
    assert.equal(outside.status, 403);
    assert.equal(outside.headers["content-type"], "application/problem+json");
    assert.ok(!outside.body.toString().includes("outside"));
    await paddock.until("the log line", () => paddock.output.includes("is not in allow of /outside/"));
    assert.equal((await get("/")).status, 200);
  });

  test("no disguise of the path gets round a rule", async () => {
    const before = app.requests.length;
    for (const path of [
      "/%64enied/",
      "//denied/",
      "/x/../denied/",
      "/denied%2fx",
      "/denied",
      "/x/%2e%2e/denied/",
      "/denied/../",
      "/denied/%2e%2e/inside/",
      "/denied/not/../x",
      `/x/../${"y/".repeat(300)}`,
      "/x\\..\\denied\\",
    ])
      assert.equal((await get(path)).status, 403, path);
    assert.equal(app.requests.length, before);
    for (const path of ["/Denied/", "/deniedx/", "/?/denied/"])
      assert.equal((await get(path)).status, 200, path);
  });

  test("one connection gets all of its rate, then 429 with Retry-After, over HTTP/2 too", async () => {
    const url = `https://app.test:${paddock.httpsPort}/slow/`;
    const head = await curl(
      "--http2",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code} ",
      ...[url, url, url, url].flatMap((u) => [u, "-o", "/dev/null"]),
    );
    assert.equal(head.trim(), "200 200 200 429");
    const refused = await get("/slow/x");
    // The other worker may not have been told yet, and has a burst of its own until then.
    if (refused.status === 429) assert.match(String(refused.headers["retry-after"]), /^\d+$/);
    await paddock.until("every worker to know", async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => get("/slow/x")));
      return answers.every(({ status, headers }) => status === 429 && Number(headers["retry-after"]) >= 1);
    });
  });

  test("many connections over two workers get no more than one burst for each", async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => get("/spread/")));
    const passed = answers.filter(({ status }) => status === 200).length;
    assert.ok(passed >= 5 && passed <= 10, String(passed));
    assert.ok(answers.every(({ status }) => status === 200 || status === 429));
  });

  test("a rate by a field's value is the value's own; without the field it is the address's", async () => {
    const one = `https://app.test:${paddock.httpsPort}/keyed/`;
    const codes = async (...fields: string[]): Promise<string> =>
      await curl(
        "-w",
        "%{http_code} ",
        ...fields,
        ...[one, one, one].flatMap((url) => [url, "-o", "/dev/null"]),
      );
    assert.equal(await codes("-H", "X-Api-Key: a"), "200 200 429 ");
    assert.equal(await codes("-H", "X-Api-Key: b"), "200 200 429 ");
    assert.equal(await codes(), "200 200 429 ");
  });

  test("other methods get 405 with Allow; HEAD goes with GET", async () => {
    const refused = await get("/read/", {}, "DELETE");
    assert.equal(refused.status, 405);
    assert.equal(refused.headers.allow, "GET, HEAD");
    assert.equal((await get("/read/", {}, "HEAD")).status, 200);
    assert.equal((await get("/", {}, "DELETE")).status, 200);
  });

  test("basicAuth asks for a password and keeps it from the app", async () => {
    const asked = await get("/admin/");
    assert.equal(asked.status, 401);
    assert.equal(asked.headers["www-authenticate"], 'Basic realm="Staff", charset="UTF-8"');
    const passed = await get("/admin/x", { ...basic("ann:secret"), "x-kept": "1" });
    assert.equal(passed.status, 200);
    assert.equal(seen(passed).fields["authorization"], undefined);
    assert.equal(seen(passed).fields["x-kept"], "1");
    // Where nobody asked for it, it is the app's own.
    assert.match(seen(await get("/", basic("ann:secret"))).fields["authorization"] ?? "", /^Basic /);
    assert.equal((await get("/admin/open/")).status, 200);
    assert.equal((await get("/admin/open/../x")).status, 401);
  });

  test("basicAuth refuses every other credential", async () => {
    for (const authorization of [
      basic("ann:Secret").authorization,
      basic("ann:").authorization,
      basic("nobody:secret").authorization,
      basic("ann").authorization,
      "Bearer abc",
      "Basic",
      "Basic !!!!",
    ])
      assert.equal((await get("/admin/", { authorization })).status, 401, authorization);
    const twice = await curl(
      "--http1.1",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "-H",
      `Authorization: ${basic("ann:secret").authorization}`,
      "-H",
      "Authorization: Basic YTpi",
      `https://app.test:${paddock.httpsPort}/admin/`,
    );
    assert.equal(twice, "401");
  });

  test("basicAuth stands before static files, and lets a page with fifty assets in at once", async () => {
    assert.equal((await get("/static/private/plan.txt")).status, 401);
    assert.equal((await get("/static/%70rivate/plan.txt")).status, 401);
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => get("/static/private/plan.txt", basic("ann:secret"))),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    // A cache on the way must not answer the next one without asking for the password.
    assert.deepEqual(
      [...new Set(answers.map(({ headers }) => headers["cache-control"]))],
      ["private, max-age=3600"],
    );
    const path = `https://app.test:${paddock.httpsPort}/static/private/plan.txt`;
    assert.equal(await curl("--http2", "-u", "ann:secret", path), "the plan");
  });

  test("guesses are limited, and do not keep out who is in", async () => {
    assert.equal((await get("/guess/", basic("ann:secret"))).status, 200);
    let guesses = 0;
    let status = 401;
    while (status === 401 && guesses < 40) ({ status } = await get("/guess/", basic(`ann:${guesses++}`)));
    assert.equal(status, 429);
    // Ten at each of the two workers.
    assert.ok(guesses > 10 && guesses <= 21, String(guesses));
  });

  test("challenges and redirects are for everybody", async () => {
    const host = `app.test:${paddock.httpPort}`;
    const { status, headers } = await paddock.plain(paddock.httpPort, "/denied/", { host });
    assert.equal(status, 301);
    assert.equal(headers.location, `https://app.test:${paddock.httpsPort}/denied/`);
    const canonical = await paddock.get("/admin/", { host: "www.app.test" });
    assert.equal(canonical.status, 301);
    const challenge = "/.well-known/acme-challenge/x";
    assert.equal((await paddock.plain(paddock.httpPort, challenge, { host })).status, 404);
  });
});

describe("Django under Gunicorn behind a rule", () => {
  let paddock: Paddock;
  let gunicorn: Gunicorn;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: "unix:${folder}/app.sock"
    paths:
      /whoami/: { basicAuth: { users: { ann: "${HASH}" } } }`,
    });
    const { folder } = paddock;
    gunicorn = await startGunicorn({ folder, socket: `${folder}/app.sock`, workerClass: "sync" });
  });

  after(async () => {
    await gunicorn.stop();
    await paddock.stop();
  });

  test("whatever Django takes for the view's path needs the password", async () => {
    const disguises = ["/whoami/", "/%77hoami/", "/who%61mi%2f", "/whoami%2F", "/whoami"];
    for (const path of disguises) assert.equal((await paddock.get(path)).status, 401, path);
    for (const path of disguises) {
      const { status } = await paddock.get(path, { host: "app.test", headers: basic("ann:secret") });
      // APPEND_SLASH is CommonMiddleware's, which this site does without.
      assert.equal(status, path === "/whoami" ? 404 : 200, path);
    }
    assert.equal((await paddock.get("/bytes/5/")).status, 200);
  });
});

describe("a site that asks an auth server", () => {
  let paddock: Paddock;
  let app: App;
  let answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end();
  const asked: { request: IncomingMessage; body: number }[] = [];
  const auth = createServer((request, response) => {
    let body = 0;
    request.on("data", (part: Buffer) => (body += part.length));
    request.on("end", () => {
      asked.push({ request, body });
      answer(request, response);
    });
  });

  const get = (path: string, headers: Record<string, string | string[]> = {}): Promise<Answer> =>
    paddock.get(path, { host: "app.test", headers });

  before(async () => {
    auth.listen(0, "127.0.0.1");
    await once(auth, "listening");
    const { port } = auth.address() as { port: number };
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock
    paths:
      /in/: { forwardAuth: { to: "http://127.0.0.1:${port}/verify?a=b", headers: [X-Auth-User], timeout: 1s } }
      /gone/: { forwardAuth: { to: "unix:${folder}/nobody.sock", path: /verify } }`,
    });
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    auth.closeAllConnections();
    auth.close();
    await app.stop();
    await paddock.stop();
  });

  test("2xx lets the request go on, with the fields that it gave and without the client's", async () => {
    answer = (_, response) =>
      response.writeHead(200, { "x-auth-user": "ann", "x-other": "no" }).end("some body");
    const { body, ...passed } = await paddock.get("/in/x?y=/../z", {
      host: "app.test",
      method: "POST",
      body: Buffer.alloc(3000),
      headers: {
        "x-auth-user": "root",
        X_Auth_User: "root",
        connection: "close, x-auth-user",
        cookie: "s=1",
        "if-none-match": '"x"',
        "x-forwarded-uri": "/forged",
        "x-forwarded-for": "6.6.6.6",
      },
    });
    assert.equal(passed.status, 200);
    const app = seen({ ...passed, body });
    assert.equal(app.length, 3000);
    assert.equal(app.fields["x-auth-user"], "ann");
    assert.equal(app.fields["x_auth_user"], undefined);
    assert.equal(app.fields["x-other"], undefined);
    assert.equal(app.fields["cookie"], "s=1");
    const { request, body: sent } = asked.at(-1) ?? assert.fail();
    assert.equal(`${request.method} ${request.url}`, "GET /verify?a=b");
    assert.equal(sent, 0);
    const { headers } = request;
    assert.equal(headers["x-forwarded-method"], "POST");
    assert.equal(headers["x-forwarded-uri"], "/in/x?y=/../z");
    assert.equal(headers["x-forwarded-host"], `app.test:${paddock.httpsPort}`);
    assert.equal(headers["x-forwarded-proto"], "https");
    assert.equal(headers["x-forwarded-for"], "127.0.0.1");
    assert.equal(headers.cookie, "s=1");
    assert.equal(headers["if-none-match"], undefined);
    assert.equal(headers["content-length"], undefined);
  });

  test("cookies of a 2xx answer are the client's, whatever it is answered with", async () => {
    answer = (_, response) =>
      response.writeHead(202, { "set-cookie": ["session=2; Path=/; Secure", "token=3; HttpOnly"] }).end();
    const cookies = ["session=2; Path=/; Secure", "token=3; HttpOnly"];
    assert.deepEqual((await get("/in/")).headers["set-cookie"], cookies);
    assert.deepEqual((await get("/elsewhere")).headers["set-cookie"], undefined);
    const session = connectHttp2(`https://127.0.0.1:${paddock.httpsPort}`, {
      servername: "app.test",
      rejectUnauthorized: false,
    });
    const stream = session.request({ ":path": "/in/", ":authority": "app.test" });
    const [headers] = (await once(stream.resume(), "response")) as [IncomingHttpHeaders];
    assert.deepEqual(headers["set-cookie"], cookies);
    session.close();
    // The app's own come behind them and so have the last word; an error of ours has them too.
    await app.stop();
    const raw = await startRawApp(`${paddock.folder}/app.sock`, (socket) =>
      socket.end("HTTP/1.1 200 OK\r\nSet-Cookie: session=app\r\nContent-Length: 0\r\n\r\n"),
    );
    assert.deepEqual((await get("/in/")).headers["set-cookie"]?.at(-1)?.split(";")[0], "session=app");
    await raw.stop();
    const broken = await startRawApp(`${paddock.folder}/app.sock`, (socket) => socket.end());
    const error = await get("/in/");
    assert.deepEqual([error.status, error.headers["set-cookie"]], [502, cookies]);
    await broken.stop();
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  test("what the app takes for the auth server's word is never the client's, on any path", async () => {
    answer = (_, response) => response.writeHead(204).end();
    assert.equal(seen(await get("/in/", { "x-auth-user": "root" })).fields["x-auth-user"], undefined);
    assert.equal(seen(await get("/elsewhere", { "x-auth-user": "root" })).fields["x-auth-user"], undefined);
  });

  test("401, 403 and redirects are the client's answer as they are", async () => {
    const before = app.requests.length;
    answer = (_, response) =>
      response.writeHead(401, { "www-authenticate": 'Bearer realm="x"', "set-cookie": "a=b" }).end("log in");
    const refused = await get("/in/");
    assert.equal(refused.status, 401);
    assert.equal(refused.headers["www-authenticate"], 'Bearer realm="x"');
    assert.deepEqual(refused.headers["set-cookie"], ["a=b"]);
    assert.equal(refused.body.toString(), "log in");
    answer = (_, response) => response.writeHead(302, { location: "/login?next=x" }).end();
    const redirected = await get("/in/");
    assert.equal(redirected.status, 302);
    assert.equal(redirected.headers.location, "/login?next=x");
    answer = (_, response) => response.writeHead(403).end("no".repeat(200_000));
    assert.equal((await get("/in/")).body.length, 400_000);
    assert.equal(app.requests.length, before);
    await paddock.until("the log line", () => paddock.output.includes("refused by forwardAuth of /in/"));
  });

  test("an auth server that is broken, silent or gone lets nobody through", async () => {
    const before = app.requests.length;
    answer = (_, response) => response.writeHead(500).end("stack trace");
    const broken = await get("/in/");
    assert.equal(broken.status, 502);
    assert.ok(!broken.body.toString().includes("stack trace"));
    answer = (request) => request.socket.destroy();
    assert.equal((await get("/in/")).status, 502);
    answer = (request) => request.socket.end("not HTTP\r\n\r\n");
    assert.equal((await get("/in/")).status, 502);
    answer = () => undefined;
    assert.equal((await get("/in/")).status, 504);
    assert.equal((await get("/gone/")).status, 502);
    assert.equal((await get("/%67one/")).status, 502);
    assert.equal((await get("/in/../")).status, 504);
    assert.equal(app.requests.length, before);
    answer = (_, response) => response.end();
    assert.equal((await get("/in/")).status, 200);
  });

  test("a kept connection that the auth server closed is not a failure", async () => {
    answer = (_, response) => response.end();
    assert.equal((await get("/in/")).status, 200);
    auth.closeIdleConnections();
    assert.equal((await get("/in/")).status, 200);
    await paddock.command("reload");
    assert.equal((await get("/in/")).status, 200);
  });
});

describe("a limit on connections of one address", () => {
  const refusedIn = async (paddock: Paddock): Promise<number> => {
    const { body } = await paddock.plain(paddock.adminPort, "/metrics");
    const [, count] =
      /^paddock_connections_refused_total\{listener="http"\} (\d+)$/m.exec(body.toString()) ?? [];
    return Number(count);
  };
  /** Whether the connection is still there once the daemon has answered on it, or closed it. */
  const isServed = async (socket: Socket): Promise<boolean> => {
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    return await new Promise((resolve) => {
      socket.once("data", () => resolve(true));
      socket.once("close", () => resolve(false));
    });
  };

  test("counts the client that a balancer names, and not the balancer", async () => {
    const paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
limits: { connectionsPerAddress: 3 }
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock" }]`,
    });
    await paddock.edit((yaml) => yaml.replace("listen: {", 'listen: { proxyProtocol: ["127.0.0.1"],'));
    assert.equal((await paddock.command("reload")).code, 0);
    const sockets: Socket[] = [];
    const open = async (client: string): Promise<boolean> => {
      const socket = connect(paddock.httpPort, "127.0.0.1");
      sockets.push(socket);
      socket.write(`PROXY TCP4 ${client} 192.0.2.9 4711 80\r\n`);
      return await isServed(socket);
    };
    try {
      for (const client of ["192.0.2.1", "192.0.2.2"]) {
        const served = [await open(client), await open(client), await open(client), await open(client)];
        assert.deepEqual(served, [true, true, true, false], client);
      }
    } finally {
      for (const socket of sockets) socket.destroy();
      await paddock.stop();
    }
  });

  for (const workers of [1, 2])
    test(`closes those beyond it at once, ${workers} worker(s)`, async () => {
      const paddock = await Paddock.start({
        workers,
        yaml: (folder) => `issuers: [{ local: true }]
limits: { connectionsPerAddress: 8 }
sites: [{ names: [app.test], upstream: "unix:${folder}/app.sock" }]`,
      });
      const sockets: Socket[] = [];
      const open = async (): Promise<boolean> => {
        // Not the address from which the daemon shakes hands with itself now and then.
        const from = { host: "127.0.0.1", localAddress: "127.0.0.2" };
        const socket = connect({ ...from, port: paddock.httpPort });
        sockets.push(socket);
        return await isServed(socket);
      };
      try {
        let served = 0;
        // Each worker may take all eight before it hears of the other's.
        while (await open()) assert.ok(++served <= 8 * workers);
        assert.ok(served >= 8, String(served));
        await paddock.until("every worker to know", async () => {
          const others = [await open(), await open(), await open(), await open()];
          return others.every((one) => !one);
        });
        assert.ok((await refusedIn(paddock)) >= 4);
        for (const socket of sockets) socket.destroy();
        await paddock.until("the connections to be forgotten", open);
      } finally {
        for (const socket of sockets) socket.destroy();
        await paddock.stop();
      }
    });
});
