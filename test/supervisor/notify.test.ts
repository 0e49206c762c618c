/** The webhook and the mail program, with a real server and real programs. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { NO_TROUBLE } from "../../src/certificates/episode.ts";
import type { NoticeReason } from "../../src/certificates/journal-event.ts";
import type { Delivery, Notice } from "../../src/certificates/notice.ts";
import type { CertificateStatus } from "../../src/certificates/status.ts";
import type { NotifyConfiguration } from "../../src/config/configuration.ts";
import type { Message } from "../../src/supervisor/notify/message.ts";
import { CertificateNotifier } from "../../src/supervisor/notify/notifier.ts";
import { DAY, listeningLogger, MINUTE, temporaryFolder } from "../certificates/fixtures.ts";
import { HeldClock } from "../certificates/held-clock.ts";

interface Hook extends AsyncDisposable {
  readonly url: string;
  readonly got: { message: Message; headers: IncomingHttpHeaders; method: string }[];
  /** Of the answers, the last one for all that follow. */
  statuses: number[];
}

async function hook(...statuses: number[]): Promise<Hook> {
  const got: Hook["got"] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (part: string) => (text += part));
    request.on("end", () => {
      got.push({
        message: JSON.parse(text) as Message,
        headers: request.headers,
        method: request.method ?? "",
      });
      const status = (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 204;
      response.writeHead(status, status === 302 ? { Location: "/elsewhere" } : {}).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/services/very-secret`,
    got,
    statuses,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

function status(name: string, now: number): CertificateStatus {
  return {
    name,
    names: [name, `www.${name}`],
    issuer: "letsencrypt",
    state: "failing",
    waitingFor: null,
    notBefore: now - 35 * DAY,
    notAfter: now + 10 * DAY,
    issuedAt: now - 35 * DAY,
    fingerprint: "00",
    nextAttempt: now + MINUTE,
    nextReason: "the last attempt failed",
    failures: 1,
    lastError: null,
    warnings: [],
    serving: "stored",
    rehearsal: null,
  };
}

interface World {
  readonly notifier: CertificateNotifier;
  readonly clock: HeldClock;
  readonly log: ReturnType<typeof listeningLogger>;
  readonly deliveries: Delivery[];
  tell(reason: NoticeReason, name?: string, sent?: readonly string[]): Promise<void>;
  /** Moves the clock on until `done`; the network and programs take their own time in between. */
  until(done: () => boolean): Promise<void>;
}

function world(configuration: Partial<NotifyConfiguration>): World {
  const clock = new HeldClock();
  const log = listeningLogger();
  const deliveries: Delivery[] = [];
  const notifier = new CertificateNotifier({
    configuration: { webhook: null, mail: null, ...configuration },
    clock,
    log: log.log,
    statuses: () => [status("example.org", clock.now()), status("second.example", clock.now())],
  });
  return {
    notifier,
    clock,
    log,
    deliveries,
    async tell(reason, name = "example.org", sent = []) {
      const notice: Notice = {
        reason,
        at: clock.now(),
        names: [name, `www.${name}`],
        episode: {
          ...NO_TROUBLE,
          failures: reason === "recovered" ? 0 : 1,
          since: clock.now(),
          error: reason === "recovered" ? null : "the CA could not reach port 80. Open it.",
        },
        sent,
        begin: async () => undefined,
        took: (delivery) => void deliveries.push(delivery),
      };
      await notifier.notify(notice);
    },
    async until(done) {
      for (let count = 0; count < 2000 && !done(); count++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (done()) return;
        await clock.advance(500, async () => undefined);
      }
      assert.ok(done(), "in vain");
    },
  };
}

void describe("the webhook", () => {
  void it("gets the documented JSON, with a text that says what is wrong and what to do", async () => {
    await using server = await hook(204);
    const one = world({ webhook: server.url });
    void one.tell("failing");
    await one.until(() => one.deliveries.length === 1);
    assert.deepEqual(one.deliveries, [{ channel: "webhook", error: null }]);
    const [request] = server.got;
    assert.equal(request?.method, "POST");
    assert.equal(request.headers["content-type"], "application/json");
    const { message } = request;
    assert.deepEqual([message.version, message.event, message.more], [1, "failing", 0]);
    const [news] = message.certificates;
    assert.deepEqual(
      [news?.name, news?.event, news?.issuer, news?.failures, news?.serving, news?.error],
      ["example.org", "failing", "letsencrypt", 1, "stored", "the CA could not reach port 80. Open it."],
    );
    assert.equal(Date.parse(news?.notAfter ?? "") > one.clock.now(), true);
    for (const words of [
      /no new certificate for example\.org/,
      /Open it\./,
      /ends in 9 days|ends in 10 days/,
      /paddock certs show example\.org/,
    ])
      assert.match(message.text, words);
  });

  void it("is tried again where it is away, and given up after three times; its URL is never logged", async () => {
    await using server = await hook(503, 500, 204);
    const one = world({ webhook: server.url });
    void one.tell("failing");
    await one.until(() => one.deliveries.length === 1);
    assert.deepEqual([server.got.length, one.deliveries[0]?.error], [3, null]);
    server.statuses.splice(0, 1, 500);
    void one.tell("failing-repeatedly");
    await one.until(() => one.deliveries.length === 2);
    assert.equal(server.got.length, 6);
    assert.match(
      one.deliveries[1]?.error ?? "",
      /^127\.0\.0\.1:\d+ did not take it: status 500\. Check notify\.webhook/,
    );
    assert.equal(one.log.text().includes("very-secret"), false);
    assert.equal(JSON.stringify(one.deliveries).includes("very-secret"), false);
  });

  void it("is asked once where it refuses, and no redirect is followed", async () => {
    for (const answer of [404, 302]) {
      await using server = await hook(answer);
      const one = world({ webhook: server.url });
      void one.tell("failing");
      await one.until(() => one.deliveries.length === 1);
      assert.equal(server.got.length, 1);
      assert.match(one.deliveries[0]?.error ?? "", new RegExp(`status ${answer}`));
    }
  });

  void it("gets what comes together in one message, the gravest first, and the next one no sooner than a minute later", async () => {
    await using server = await hook(204);
    const one = world({ webhook: server.url });
    void one.tell("failing");
    void one.tell("ending", "second.example");
    await one.until(() => one.deliveries.length === 2);
    assert.equal(server.got.length, 1);
    assert.equal(server.got[0]?.message.event, "ending");
    assert.deepEqual(
      server.got[0].message.certificates.map(({ name }) => name),
      ["second.example", "example.org"],
    );
    const first = one.clock.now();
    void one.tell("recovered");
    await one.until(() => one.deliveries.length === 3);
    assert.ok(one.clock.now() - first >= MINUTE - 1000);
    assert.match(server.got[1]?.message.text ?? "", /is well again/);
  });

  void it("does not get what it has from a round before", async () => {
    await using server = await hook(204);
    await using folder = await temporaryFolder();
    const one = world({
      webhook: server.url,
      mail: { command: ["/bin/sh", "-c", `cat > ${folder.path}/mail`], to: ["a@b.example"], from: null },
    });
    void one.tell("failing", "example.org", ["webhook"]);
    await one.until(() => one.deliveries.length === 1);
    assert.deepEqual([server.got.length, one.deliveries[0]?.channel], [0, "mail"]);
  });
});

void describe("the mail program", () => {
  void it("reads a whole message, and knows nothing of the daemon's environment", async () => {
    await using folder = await temporaryFolder();
    const program = join(folder.path, "sendmail");
    await writeFile(
      program,
      `#!/bin/sh\ncat > ${folder.path}/mail\n{ echo "$@"; pwd; env; } > ${folder.path}/seen\n`,
      { mode: 0o755 },
    );
    process.env["PADDOCK_TEST_SECRET"] = "secret";
    const one = world({
      mail: {
        command: [program, "-t", "$HOME; echo"],
        to: ["a@b.example", "c@d.example"],
        from: "gate@b.example",
      },
    });
    void one.tell("failing");
    await one.until(() => one.deliveries.length === 1);
    delete process.env["PADDOCK_TEST_SECRET"];
    assert.deepEqual(one.deliveries, [{ channel: "mail", error: null }]);
    const mail = await readFile(join(folder.path, "mail"), "utf8");
    const [head = "", body = ""] = mail.split("\n\n", 2);
    for (const field of [
      /^Date: /m,
      /^From: Paddock <gate@b\.example>$/m,
      /^To: a@b\.example, c@d\.example$/m,
      /^Subject: Paddock on \S+: no new certificate for example\.org, it is tried again$/m,
      /^Message-ID: <\S+@\S+>$/m,
      /^Auto-Submitted: auto-generated$/m,
    ])
      assert.match(head, field);
    assert.ok(body.length > 0);
    assert.match(mail, /What is wrong: the CA could not reach port 80\. Open it\./);
    const [args, where, ...environment] = (await readFile(join(folder.path, "seen"), "utf8"))
      .trim()
      .split("\n");
    assert.equal(args, "-t $HOME; echo", "no shell");
    assert.equal(where, "/");
    assert.deepEqual(
      environment
        .map((line) => line.split("=")[0] ?? "")
        .filter((name) => !["PWD", "_", "SHLVL", "OLDPWD"].includes(name))
        .sort((a, b) => a.localeCompare(b)),
      ["LANG", "PATH"],
    );
  });

  void it("that fails is named with what it said", async () => {
    const one = world({
      mail: {
        command: ["/bin/sh", "-c", "echo no queue here >&2; exit 75"],
        to: ["a@b.example"],
        from: null,
      },
    });
    void one.tell("failing");
    await one.until(() => one.deliveries.length === 1);
    assert.match(
      one.deliveries[0]?.error ?? "",
      /\/bin\/sh did not take the mail: exit code 75, no queue here\. Check notify\.mail/,
    );
    const missing = world({ mail: { command: ["/nonexistent/sendmail"], to: ["a@b.example"], from: null } });
    void missing.tell("failing");
    await missing.until(() => missing.deliveries.length === 1);
    assert.match(missing.deliveries[0]?.error ?? "", /ENOENT/);
  });

  void it("that hangs is ended after 30 seconds, with what it started", async () => {
    await using folder = await temporaryFolder();
    const one = world({
      mail: {
        command: ["/bin/sh", "-c", `sleep 600 & echo $! > ${folder.path}/pid; wait`],
        to: ["a@b.example"],
        from: null,
      },
    });
    void one.tell("failing");
    await one.until(() => one.deliveries.length === 1);
    assert.match(one.deliveries[0]?.error ?? "", /it took longer than 30 seconds/);
    const pid = Number(await readFile(join(folder.path, "pid"), "utf8"));
    await one.until(() => !isRunning(pid));
  });
});

/** A zombie that nobody has waited for is not running either: proc(5). */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

void it("a test goes out by each way at once", async () => {
  await using server = await hook(204);
  const one = world({
    webhook: server.url,
    mail: { command: ["/bin/false"], to: ["a@b.example"], from: null },
  });
  const deliveries = await one.notifier.test();
  assert.deepEqual(
    deliveries.map(({ channel, error }) => [channel, error === null]),
    [
      ["webhook", true],
      ["mail", false],
    ],
  );
  assert.equal(server.got[0]?.message.event, "test");
});
