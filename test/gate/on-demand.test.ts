/** Names that the configuration does not know: a whole daemon, Pebble with real validation, and an app that is asked. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { promisify } from "node:util";
import type { DaemonStatus } from "../../src/supervisor/status.ts";
import { FaultyCa } from "../parts/faulty-ca.ts";
import { Paddock } from "../parts/paddock.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";
import { ScriptedApp } from "../parts/scripted-app.ts";

const curl = promisify(execFile);
const PATH = "/tls-allowed";

/** "served", or what the client was told: the alert, or that the connection was closed. */
async function handshake(paddock: Paddock, name: string): Promise<string> {
  const socket = connect({
    port: paddock.httpsPort,
    host: "127.0.0.1",
    servername: name,
    rejectUnauthorized: false,
  });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerCertificate().subjectaltname ?? "";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    socket.destroy();
  }
}

const REFUSED = "ERR_SSL_TLSV1_UNRECOGNIZED_NAME";

describe("onDemand, with an app on a Unix socket", () => {
  let pebble: Pebble;
  let ca: FaultyCa;
  let app: ScriptedApp;
  let paddock: Paddock;
  let root: string;
  /** What the app says to a name; 404 unless it is here. */
  const said = new Map<string, number>();
  const asked = (name: string): number =>
    app.asked(PATH).filter(({ target }) => target === `${PATH}?domain=${name}`).length;

  const ordersFor = (name: string): number =>
    ca.requests.filter(
      ({ step, payload }) => step === "newOrder" && JSON.stringify(payload).includes(`"${name}"`),
    ).length;

  async function start(more: string, folder?: string): Promise<Paddock> {
    return await Paddock.start({
      httpPort: pebble.httpPort,
      ...(folder === undefined ? {} : { folder }),
      yaml: (own) => `issuers: [{ acme: "${ca.directoryUrl}", trustedRoots: "${ca.trustedRootsPath}" }]
sites:
  - names: [app.example.org]
    upstream: unix:${folder ?? own}/app.sock
    onDemand: { ask: ${PATH}${more} }
  - { names: ["*.taken.example.org"], certificate: local, upstream: "http://127.0.0.1:1" }`,
    });
  }

  async function get(name: string): Promise<string> {
    const verified = ["--max-time", "30", "--cacert", join(pebble.folder, "issuing.pem")];
    const where = ["--connect-to", `${name}:443:127.0.0.1:${paddock.httpsPort}`, `https://${name}/`];
    const { stdout } = await curl("curl", ["--silent", "--show-error", ...verified, ...where]);
    return stdout;
  }

  async function stored(): Promise<string[]> {
    const { stdout } = await paddock.command("status", "--json");
    const { certificates } = JSON.parse(stdout) as DaemonStatus;
    return certificates.filter(({ onDemand }) => onDemand !== undefined).map(({ name }) => name);
  }

  before(async () => {
    pebble = await startPebble({ nonceReject: 0 });
    ca = await FaultyCa.start(pebble);
    root = await pebble.issuingRoot();
    await writeFile(join(pebble.folder, "issuing.pem"), root);
    paddock = await start(", limit: 6/h, wait: 11s");
    await paddock.until("the site's own certificate", () =>
      /for app\.example\.org issued/.test(paddock.output),
    );
    app = await ScriptedApp.start(join(paddock.folder, "app.sock"));
    app.on("/", ({ fields }) => ({ body: `hello ${fields.get("host")}` }));
    app.on(PATH, ({ target }) => ({
      status: said.get(new URLSearchParams(target.split("?")[1]).get("domain") ?? "") ?? 404,
    }));
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
    await ca[Symbol.asyncDispose]();
    await pebble.stop();
  });

  test("a name that the app knows is issued at its first handshake, and the second is at once", async () => {
    said.set("shop.customer.example.org", 204);
    assert.equal(await get("shop.customer.example.org"), "hello shop.customer.example.org");
    const [question] = app.asked(PATH);
    assert.equal(question?.fields.get("host"), "app.example.org");
    assert.equal(question?.fields.get("x-forwarded-proto"), "https");
    const orders = ca.count("newOrder");
    assert.equal(await get("shop.customer.example.org"), "hello shop.customer.example.org");
    assert.deepEqual([ca.count("newOrder") - orders, asked("shop.customer.example.org")], [0, 1]);
  });

  test("a name that the app does not know is refused, and the app is asked once", async () => {
    const orders = ca.count("newOrder");
    for (let turn = 0; turn < 3; turn += 1)
      assert.equal(await handshake(paddock, "unknown.example.org"), REFUSED);
    // Two workers, each of which may ask the supervisor, which asks the app once.
    assert.equal(asked("unknown.example.org"), 1);
    assert.equal(ca.count("newOrder"), orders);
    const files = readdirSync(join(paddock.folder, "store"), { recursive: true, encoding: "utf8" });
    assert.ok(files.some((file) => file.includes("shop.customer.example.org")));
    assert.equal(
      files.some((file) => file.includes("unknown.example.org")),
      false,
    );
    assert.deepEqual(await stored(), ["shop.customer.example.org"]);
  });

  test("what is no public name, and what belongs to another site, is nothing to ask about", async () => {
    const before = app.asked(PATH).length;
    for (const name of ["localhost", "printer.local", "a_b.example.org", "a.b.taken.example.org.test"])
      assert.equal(await handshake(paddock, name), REFUSED, name);
    assert.equal(app.asked(PATH).length, before);
    assert.equal(await handshake(paddock, "a.taken.example.org"), "DNS:*.taken.example.org");
    assert.equal(app.asked(PATH).length, before);
  });

  test("twenty handshakes at once are one question and one order", async () => {
    said.set("many.example.org", 200);
    const orders = ca.count("newOrder");
    const names = await Promise.all(Array.from({ length: 20 }, () => handshake(paddock, "many.example.org")));
    assert.deepEqual([...new Set(names)], ["DNS:many.example.org"]);
    assert.deepEqual([ca.count("newOrder") - orders, asked("many.example.org")], [1, 1]);
  });

  test("port 80 leads every possible name to https, and a connection serves its own name only", async () => {
    const redirect = async (host: string): Promise<[number, unknown]> => {
      const { status, headers } = await paddock.plain(paddock.httpPort, "/x?y", { host });
      return [status, headers["location"]];
    };
    assert.deepEqual(await redirect("never.asked.example.org"), [301, "https://never.asked.example.org/x?y"]);
    assert.deepEqual(await redirect("192.0.2.1"), [421, undefined]);
    assert.deepEqual(await redirect("localhost"), [421, undefined]);
    assert.equal(asked("never.asked.example.org"), 0);
    const other = { ca: root, host: "many.example.org", headers: { host: "shop.customer.example.org" } };
    assert.equal((await paddock.get("/", other)).status, 421);
    const none = { ca: root, host: "many.example.org", headers: { host: "never.asked.example.org" } };
    assert.equal((await paddock.get("/", none)).status, 421);
  });

  test("metrics call all of these names by one", async () => {
    const text = (await paddock.plain(paddock.adminPort, "/metrics")).body.toString();
    assert.equal(/name="[^"]*(?:shop|many|unknown)[^"]*"/.test(text), false);
    assert.match(text, /^paddock_certificate_serving\{name="on-demand"\} 1$/m);
    assert.match(
      text,
      /^paddock_certificate_attempts_total\{name="on-demand",issuer="[^"]+",outcome="success"\} 2$/m,
    );
    assert.match(text, /^paddock_http_requests_total\{site="app\.example\.org",/m);
  });

  // Longer than a handshake may take that waits for nothing but its client.
  test("a slow CA: the handshake is refused when its wait is over, and served once the order has gone on", async () => {
    said.set("slow.example.org", 200);
    const held = ca.hold("newOrder", "before");
    assert.equal(await handshake(paddock, "slow.example.org"), REFUSED);
    await held.reached;
    held.release();
    await paddock.until("the order to end", () => /for slow\.example\.org issued/.test(paddock.output));
    assert.equal(await handshake(paddock, "slow.example.org"), "DNS:slow.example.org");
    assert.equal(asked("slow.example.org"), 1);
  });

  test("an order that fails refuses the name, is in its journal, and is nobody's alarm", async () => {
    said.set("astray.example.org", 200);
    await pebble.dns("add-a", { host: "astray.example.org.", addresses: ["127.0.0.66"] as never });
    assert.equal(await handshake(paddock, "astray.example.org"), REFUSED);
    const { stdout } = await paddock.command("certs", "show", "astray.example.org");
    assert.match(stdout, /not proven by http-01/);
    const orders = ca.count("newOrder");
    assert.equal(await handshake(paddock, "astray.example.org"), REFUSED);
    assert.equal(ca.count("newOrder"), orders);
  });

  test("beyond the limit no new name gets a certificate, and those that have one are served", async () => {
    for (const name of ["fifth.example.org", "sixth.example.org", "seventh.example.org"]) said.set(name, 200);
    assert.equal(await handshake(paddock, "fifth.example.org"), "DNS:fifth.example.org");
    assert.equal(await handshake(paddock, "sixth.example.org"), "DNS:sixth.example.org");
    const orders = ca.count("newOrder");
    assert.equal(await handshake(paddock, "seventh.example.org"), REFUSED);
    assert.match(
      paddock.output,
      /no certificate for seventh\.example\.org: onDemand\.limit has been reached/,
    );
    assert.equal(ca.count("newOrder"), orders);
    assert.equal(await handshake(paddock, "fifth.example.org"), "DNS:fifth.example.org");
  });

  test("a restart serves what is stored without asking anybody, and keeps to the limit", async () => {
    const { folder } = paddock;
    await paddock.stop({ keepFolder: true });
    const known = ["shop.customer.example.org", "many.example.org"];
    const before = known.map((name) => [asked(name), ordersFor(name)]);
    paddock = await start(", limit: 6/h, wait: 11s", folder);
    const held = async (): Promise<number> =>
      readdirSync(join(folder, "store/certificates"), { recursive: true, encoding: "utf8" }).filter((file) =>
        file.includes("many.example.org"),
      ).length;
    assert.equal(await held(), 1);
    assert.equal(await get("shop.customer.example.org"), "hello shop.customer.example.org");
    assert.deepEqual(
      await Promise.all(Array.from({ length: 6 }, () => handshake(paddock, "many.example.org"))),
      Array.from({ length: 6 }, () => "DNS:many.example.org"),
    );
    assert.deepEqual(
      known.map((name) => [asked(name), ordersFor(name)]),
      before,
    );
    assert.equal(await handshake(paddock, "seventh.example.org"), REFUSED);
    const { names } = JSON.parse(readFileSync(join(folder, "store/on-demand.json"), "utf8")) as {
      names: Record<string, number>;
    };
    assert.ok(Object.keys(names).includes("shop.customer.example.org"));
  });

  test("a name that a site takes over is the site's, and without onDemand nothing is served on demand", async () => {
    await paddock.edit((yaml) => yaml.replace("*.taken.example.org", "many.example.org"));
    assert.equal((await paddock.command("reload")).code, 0);
    assert.equal(await handshake(paddock, "many.example.org"), "DNS:many.example.org");
    assert.ok(!(await stored()).includes("many.example.org"));
    await paddock.edit((yaml) => yaml.replace(/^ {4}onDemand: .*$/m, ""));
    assert.equal((await paddock.command("reload")).code, 0);
    assert.equal(await handshake(paddock, "shop.customer.example.org"), REFUSED);
    assert.deepEqual(await stored(), []);
    const redirect = await paddock.plain(paddock.httpPort, "/", { host: "shop.customer.example.org" });
    assert.equal(redirect.status, 421);
  });
});

describe("onDemand, with the embedded CA and another server that is asked", () => {
  let paddock: Paddock;
  let server: Server;
  const questions: string[] = [];
  let status = 200;

  before(async () => {
    server = createServer((request, response) => {
      questions.push(request.url ?? "");
      response.writeHead(status, { location: "/elsewhere" }).end("x".repeat(1000));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/may?key=1`;
    paddock = await Paddock.start({
      yaml: () => `issuers: [{ local: true }]
sites: [{ names: [app.test], upstream: "http://127.0.0.1:1", onDemand: { ask: "${url}" } }]`,
    });
  });

  after(async () => {
    await paddock.stop();
    server.close();
    server.closeAllConnections();
  });

  test("local names are taken, and the query that the URL has stays", async () => {
    assert.equal(await handshake(paddock, "tenant.test"), "DNS:tenant.test");
    assert.deepEqual(questions, ["/may?key=1&domain=tenant.test"]);
  });

  test("a redirect is no, trouble is no answer and said once", async () => {
    status = 302;
    assert.equal(await handshake(paddock, "redirected.test"), REFUSED);
    status = 503;
    assert.equal(await handshake(paddock, "trouble.test"), REFUSED);
    assert.equal(await handshake(paddock, "more-trouble.test"), REFUSED);
    assert.equal(paddock.output.split("onDemand.ask gave no answer").length, 2);
    assert.match(paddock.output, /gave no answer for trouble\.test: it answered 503/);
  });

  test("whoever makes up names is not listened to for long", async () => {
    status = 404;
    const before = questions.length;
    for (let index = 0; index < 40; index += 1)
      assert.equal(await handshake(paddock, `made-up-${index}.test`), REFUSED);
    assert.ok(questions.length - before <= 20, `${questions.length - before} questions`);
    assert.equal(await handshake(paddock, "tenant.test"), "DNS:tenant.test");
  });
});
