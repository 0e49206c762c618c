/** The certificates of a running daemon: what the command line does with them, and that it looks after them. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import type { JournaledStatus } from "../../src/cli/certs/journals.ts";
import type { DaemonStatus } from "../../src/supervisor/status.ts";
import type { Message } from "../../src/supervisor/notify/message.ts";
import { Paddock } from "../parts/paddock.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";

/** Value of a metric with these labels; undefined where there is none. */
async function metric(paddock: Paddock, name: string, labels: string): Promise<number | undefined> {
  const text = (await paddock.plain(paddock.adminPort, "/metrics")).body.toString();
  const line = text.split("\n").find((one) => one.startsWith(`${name}{${labels}`));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

async function handshakes(paddock: Paddock): Promise<number> {
  const text = (await paddock.plain(paddock.adminPort, "/metrics")).body.toString();
  return [...text.matchAll(/^paddock_tls_handshakes_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

describe("certs, with the embedded CA", () => {
  let paddock: Paddock;
  let webhook: Server;
  const messages: Message[] = [];

  before(async () => {
    webhook = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part: string) => (text += part));
      request.on("end", () => {
        messages.push(JSON.parse(text) as Message);
        response.writeHead(204).end();
      });
    });
    webhook.listen(0, "127.0.0.1");
    await once(webhook, "listening");
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        const words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 90 -subj /CN=files";
        const more = ["-addext", "subjectAltName=DNS:files.example", "-keyout", `${folder}/key.pem`];
        execFileSync("openssl", [...words.split(" "), ...more, "-out", `${folder}/cert.pem`], {
          stdio: "ignore",
        });
        return `issuers: [{ local: true }]
notify: { webhook: "http://127.0.0.1:${(webhook.address() as AddressInfo).port}/hook" }
sites:
  - { names: [app.test, www.app.test], static: { /: "${folder}/static/" } }
  - { names: ["*.wild.test"], static: { /: "${folder}/static/" } }
  - { names: [127.0.0.1], static: { /: "${folder}/static/" } }
  - names: [files.example]
    static: { /: "${folder}/static/" }
    certificate: { cert: "${folder}/cert.pem", key: "${folder}/key.pem" }`;
      },
    });
  });

  after(async () => {
    await paddock.stop();
    webhook.close();
    webhook.closeAllConnections();
  });

  async function one(name: string): Promise<JournaledStatus> {
    const { stdout } = await paddock.command("certs", "show", name, "--json");
    return JSON.parse(stdout) as JournaledStatus;
  }

  test("each name is shaken hands with after the swap, and is served as stored", async () => {
    await paddock.until(
      "five handshakes of the daemon with itself",
      async () => (await handshakes(paddock)) >= 5,
    );
    for (const name of ["app.test", "www.app.test", "*.wild.test", "127.0.0.1", "files.example"])
      assert.equal(await metric(paddock, "paddock_certificate_serving", `name="${name}"`), 1, name);
    assert.equal(await metric(paddock, "paddock_certificate_repairs_total", "name="), undefined);
    assert.equal(paddock.output.includes("no handshake for"), false, paddock.output);
  });

  test("a certificate from files has its metrics and its journal too", async () => {
    const { notBefore, notAfter, journal } = await one("files.example");
    const labels = 'name="files.example",issuer="files"';
    const expiry = await metric(paddock, "paddock_certificate_expiry_timestamp_seconds", labels);
    const issued = await metric(paddock, "paddock_certificate_issued_timestamp_seconds", labels);
    assert.deepEqual([issued, expiry], [(notBefore ?? 0) / 1000, (notAfter ?? 0) / 1000]);
    assert.deepEqual(
      journal.entries.map(({ kind }) => kind),
      ["served"],
    );
  });

  test("renew orders a new certificate, which is served when the command ends, and looked at", async () => {
    const before = await one("www.app.test");
    const seen = await handshakes(paddock);
    const { code, stdout } = await paddock.command("certs", "renew", "www.app.test");
    assert.deepEqual([code, stdout], [0, "www.app.test has a new certificate, and it is served\n"]);
    const now = await one("app.test");
    assert.notEqual(now.fingerprint, before.fingerprint);
    assert.equal(now.journal.served?.certificates[0]?.fingerprint, now.fingerprint);
    assert.equal((await paddock.get("/", { host: "app.test" })).status, 404);
    await paddock.until("the look after the swap", async () => (await handshakes(paddock)) >= seen + 3);
    assert.equal(await metric(paddock, "paddock_certificate_serving", 'name="app.test"'), 1);
  });

  test("renew and show of an unknown name exit with 1 and say where the names are", async () => {
    for (const word of ["renew", "show"]) {
      const { code, stdout, stderr } = await paddock.command("certs", word, "nobody.example");
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^paddock: no site has the name nobody\.example; .*paddock certs list/);
    }
    assert.equal((await paddock.command("certs", "renew")).code, 2);
    assert.equal((await paddock.command("certs", "show", "a", "b")).code, 2);
  });

  test("list and status are a table of at most 100 columns, and whole as JSON", async () => {
    const { stdout } = await paddock.command("certs", "list");
    const [head = "", first = "", also = ""] = stdout.split("\n");
    assert.match(head, /^NAME +STATE +ISSUER +ENDS IN +NEXT ATTEMPT \(UTC\)$/);
    assert.match(first, /^app\.test +valid +local +6 days +\d{4}-\d\d-\d\d \d\d:\d\d$/);
    assert.equal(first.indexOf("valid"), head.indexOf("STATE"));
    assert.equal(also, "    also www.app.test");
    const status = (await paddock.command("status")).stdout;
    for (const line of [...stdout.split("\n"), ...status.split("\n")])
      if (!line.startsWith("  static")) assert.ok(line.length <= 100, line);
    assert.ok(status.includes(first));
    const listed = JSON.parse((await paddock.command("certs", "list", "--json")).stdout) as JournaledStatus[];
    assert.deepEqual(
      listed.map(({ name }) => name),
      ["app.test", "*.wild.test", "127.0.0.1", "files.example"],
    );
    assert.ok(listed.every(({ journal }) => journal.entries.some(({ kind }) => kind === "served")));
    const whole = JSON.parse((await paddock.command("status", "--json")).stdout) as DaemonStatus & {
      certificates: JournaledStatus[];
    };
    assert.deepEqual(whole.certificates, listed);
  });

  test("show prints the journal as a timeline", async () => {
    const { stdout } = await paddock.command("certs", "show", "app.test");
    assert.match(stdout, /^since \S+Z served: the certificate of local for app\.test, www\.app\.test/m);
    assert.match(stdout, /^\d{4}-\d\d-\d\d$/m);
    assert.match(stdout, /^ {2}\d\d:\d\d:\d\d {2}order at local begun$/m);
    assert.match(stdout, /^ {2}\d\d:\d\d:\d\d {2}local gave a certificate, valid until \S+Z/m);
    assert.ok(stdout.split("\n").every((line) => line.length <= 100));
  });

  test("notify-test reaches the webhook; without notify it exits with 1", async () => {
    const sent = await paddock.command("certs", "notify-test");
    assert.deepEqual([sent.code, sent.stdout], [0, "webhook: sent\n"]);
    assert.equal(messages.at(-1)?.event, "test");
    await paddock.edit((yaml) => yaml.replace(/^notify: .*$/m, ""));
    assert.equal((await paddock.command("reload")).code, 0);
    const { code, stderr } = await paddock.command("certs", "notify-test");
    assert.equal(code, 1);
    assert.match(stderr, /the configuration has no notify; set notify\.webhook or notify\.mail/);
  });

  test("behind listeners that want a PROXY header the daemon sends one to itself", async () => {
    await paddock.edit((yaml) => yaml.replace("listen: {", "listen: { proxyProtocol: [127.0.0.0/8],"));
    assert.equal((await paddock.command("reload")).code, 0);
    const seen = await handshakes(paddock);
    assert.equal((await paddock.command("certs", "renew", "app.test")).code, 0);
    await paddock.until("the look after the swap", async () => (await handshakes(paddock)) >= seen + 2);
    assert.equal(await metric(paddock, "paddock_certificate_serving", 'name="app.test"'), 1);
    assert.equal(paddock.output.includes("no PROXY header"), false);
  });

  test("without a daemon they exit with 3", async () => {
    await paddock.stop({ keepFolder: true });
    for (const words of [["renew", "app.test"], ["show", "app.test"], ["list"], ["notify-test"]]) {
      const { code, stderr } = await paddock.command("certs", ...words);
      assert.equal(code, 3, words.join(" "));
      assert.match(stderr, /no daemon answers on/);
    }
  });
});

describe("certs, with Pebble", () => {
  let pebble: Pebble;
  let paddock: Paddock;
  let webhook: Server;
  const messages: Message[] = [];

  before(async () => {
    webhook = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part: string) => (text += part));
      request.on("end", () => {
        messages.push(JSON.parse(text) as Message);
        response.writeHead(200).end();
      });
    });
    webhook.listen(0, "127.0.0.1");
    await once(webhook, "listening");
    pebble = await startPebble({ nonceReject: 30, authzReuse: 100, certificateValidity: 3600 });
    paddock = await Paddock.start({
      httpPort: pebble.httpPort,
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        // Pebble's own goes with it, and the command line reads the configuration after that.
        copyFileSync(pebble.trustedRootsPath, `${folder}/ca.pem`);
        return `issuers: [{ acme: "${pebble.directoryUrl}", trustedRoots: "${folder}/ca.pem" }]
notify: { webhook: "http://127.0.0.1:${(webhook.address() as AddressInfo).port}/hook" }
sites: [{ names: [one.example.com, two.example.com], static: { /: "${folder}/static/" } }]`;
      },
    });
  });

  after(async () => {
    await paddock.stop();
    await pebble.stop();
    webhook.close();
    webhook.closeAllConnections();
  });

  async function journal(): Promise<JournaledStatus> {
    const { stdout } = await paddock.command("certs", "show", "one.example.com", "--json");
    return JSON.parse(stdout) as JournaledStatus;
  }

  test("the journal has the order, how each name was proven, and what is served; a reused proof is called that", async () => {
    await paddock.until("the certificate", async () => (await journal()).state === "valid");
    const { entries } = (await journal()).journal;
    const proven = entries.flatMap((entry) =>
      entry.kind === "challenge" ? [`${entry.name} ${entry.challenge} ${entry.outcome}`] : [],
    );
    assert.deepEqual(proven.sort(), ["one.example.com http-01 valid", "two.example.com http-01 valid"]);
    const created = entries.find(({ kind }) => kind === "order-created");
    assert.ok(created?.kind === "order-created" && created.url.startsWith("https://"));
    assert.equal((await paddock.command("certs", "renew", "one.example.com")).code, 0);
    const reused = (await journal()).journal.entries.filter(
      (entry) => entry.kind === "challenge" && entry.outcome === "reused",
    );
    assert.equal(reused.length, 2);
    await paddock.until(
      "the look",
      async () => (await metric(paddock, "paddock_certificate_serving", 'name="two.example.com"')) === 1,
    );
    assert.equal(
      await metric(
        paddock,
        "paddock_certificate_attempts_total",
        `name="one.example.com",issuer="${pebble.directoryUrl}",outcome="success"`,
      ),
      2,
    );
  });

  test("a CA that is gone is told of once; the status page shows it", async () => {
    await pebble.stop();
    const { code, stderr } = await paddock.command("certs", "renew", "one.example.com");
    assert.equal(code, 1);
    assert.match(stderr, /cannot talk to the CA/);
    await paddock.until("the message", () => messages.length > 0);
    const [message] = messages;
    assert.deepEqual([message?.event, message?.certificates[0]?.name], ["failing", "one.example.com"]);
    assert.match(message?.text ?? "", /Nothing listens there: check the directory URL/);
    await paddock.until("the journal to say so", async () =>
      (await journal()).journal.entries.some(({ kind }) => kind === "notified"),
    );
    assert.equal((await paddock.command("certs", "renew", "one.example.com")).code, 1);
    assert.equal(messages.length, 1);
    assert.equal((await journal()).journal.episode.failures, 2);

    const browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
      ],
    });
    try {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${paddock.adminPort}/`);
      const shown = (await page.innerText(".journal")) ?? "";
      assert.match(shown, /operator told by webhook of the first failure/);
      assert.match(shown, /failed: .*cannot talk to the CA/);
      if (process.env.KEEP_PICTURE !== undefined) await page.screenshot({ path: process.env.KEEP_PICTURE });
    } finally {
      await browser.close();
    }
  });
});
