import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { proxyHeader } from "../../src/proxy-protocol/write.ts";
import { startApp, type App } from "../parts/app.ts";
import { startGunicorn, type Gunicorn } from "../parts/gunicorn.ts";
import { Paddock } from "../parts/paddock.ts";

describe("the PROXY protocol from a balancer, and whom X-Forwarded-For is believed", () => {
  let paddock: Paddock;
  let app: App;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => `issuers: [{ local: true }]
trustedProxies: [192.0.2.0/24]
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
    });
    await paddock.edit((yaml) => yaml.replace("listen: {", "listen: { proxyProtocol: [127.0.0.0/8],"));
    assert.equal((await paddock.command("reload")).code, 0);
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  /** One request over TLS behind a header; the fields that the app got. */
  async function ask(header: Buffer, fields = ""): Promise<Map<string, string>> {
    const raw = connect(paddock.httpsPort, "127.0.0.1");
    await once(raw, "connect");
    // Header and handshake in pieces: what comes behind the header belongs to TLS.
    raw.write(header.subarray(0, 5));
    await sleep(20);
    raw.write(header.subarray(5));
    const socket = connectTls({ socket: raw, servername: "app.test", rejectUnauthorized: false });
    socket.write(`GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n${fields}\r\n`);
    let text = "";
    socket.setEncoding("latin1").on("data", (part: string) => (text += part));
    await once(socket, "close");
    const seen = (JSON.parse(text.slice(text.indexOf("\r\n\r\n{") + 4)) as { fields: string[] }).fields;
    const pairs = new Map<string, string>();
    for (let at = 0; at < seen.length; at += 2)
      pairs.set((seen[at] as string).toLowerCase(), seen[at + 1] as string);
    return pairs;
  }

  for (const version of [1, 2] as const) {
    for (const client of ["203.0.113.9", "2001:db8::7"]) {
      test(`version ${version} names ${client}`, async () => {
        const fields = await ask(proxyHeader(version, client), "X-Forwarded-For: 6.6.6.6\r\n");
        assert.equal(fields.get("x-forwarded-for"), client);
        assert.equal(fields.get("x-real-ip"), client);
        await paddock.until("the log", () => paddock.output.includes(`"client":"${client}"`));
      });
    }
  }

  test("a trusted proxy's X-Forwarded-For is believed, from the right, and passed on with its address", async () => {
    const fields = await ask(
      proxyHeader(2, "192.0.2.1"),
      "X-Forwarded-For: 6.6.6.6, 203.0.113.5\r\nX-Forwarded-For: 192.0.2.8\r\n",
    );
    assert.equal(fields.get("x-real-ip"), "203.0.113.5");
    assert.equal(fields.get("x-forwarded-for"), "6.6.6.6, 203.0.113.5, 192.0.2.8, 192.0.2.1");
    const broken = await ask(proxyHeader(2, "192.0.2.1"), "X-Forwarded-For: 203.0.113.5, nonsense\r\n");
    assert.equal(broken.get("x-real-ip"), "192.0.2.1", "what stands before nonsense could be made up");
  });

  test("a listed peer without a header is refused, on both listeners", async () => {
    for (const port of [paddock.httpPort, paddock.httpsPort]) {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => socket.destroy());
      socket.write("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
      let text = "";
      socket.setEncoding("latin1").on("data", (part: string) => (text += part));
      await once(socket, "close");
      assert.equal(text, "");
    }
    await paddock.until("the log", () => paddock.output.includes("no PROXY header, or a wrong one"));
  });
});

describe("the PROXY protocol to an app", () => {
  let paddock: Paddock;
  let gunicorn: Gunicorn;
  let nginx: ChildProcess;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        writeFileSync(
          `${folder}/nginx.conf`,
          `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log; events {}
http { access_log off; client_body_temp_path ${folder}/t1; proxy_temp_path ${folder}/t2; fastcgi_temp_path ${folder}/t3;
uwsgi_temp_path ${folder}/t4; scgi_temp_path ${folder}/t5;
server { listen unix:${folder}/nginx.sock proxy_protocol; location / { return 200 "$proxy_protocol_addr"; } } }`,
        );
        return `issuers: [{ local: true }]
upstreams:
  django: { to: ["unix:${folder}/app.sock"], proxyProtocol: v1 }
  nginx: { to: ["unix:${folder}/nginx.sock"], proxyProtocol: true }
sites:
  - { names: [app.test], upstream: django }
  - { names: [nginx.test], upstream: nginx }`;
      },
    });
    gunicorn = await startGunicorn({
      folder: paddock.folder,
      socket: `${paddock.folder}/app.sock`,
      workerClass: "gthread",
      more: ["--proxy-protocol"],
    });
    nginx = spawn("nginx", ["-p", paddock.folder, "-c", `${paddock.folder}/nginx.conf`], { stdio: "ignore" });
  });

  after(async () => {
    const exit = once(nginx, "exit");
    nginx.kill("SIGTERM");
    await exit;
    await gunicorn.stop();
    await paddock.stop();
  });

  test("Gunicorn has the true REMOTE_ADDR over a Unix socket", async () => {
    for (let count = 0; count < 3; count++) {
      const { body } = await paddock.get("/remote/", { host: "app.test" });
      assert.equal(body.toString(), "127.0.0.1");
    }
  });

  test("nginx reads version 2, and each request has a connection of its own", async () => {
    await paddock.until("nginx", async () => (await paddock.get("/", { host: "nginx.test" })).status === 200);
    const { body } = await paddock.get("/", { host: "nginx.test" });
    assert.equal(body.toString(), "127.0.0.1", readFileSync(`${paddock.folder}/nginx.log`, "utf8"));
  });
});
