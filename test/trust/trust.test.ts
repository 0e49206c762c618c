import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { Paddock } from "../parts/paddock.ts";

const run = promisify(execFile);
const COMMAND = resolve(import.meta.dirname, "../../bin/paddock");
const CERTS = "/etc/ssl/certs";
const LOCAL = "/usr/local/share/ca-certificates";

/**
 * A shell in a mount namespace whose system store is in `folder`, with one of the public roots, since making the
 * bundle with all of them takes seconds each time: what is done there, the machine does not see. HOME is a folder of the test's
 * own.
 */
async function inPrivateStore(
  folder: string,
  script: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const userNamespace = process.geteuid?.() === 0 ? [] : ["--map-root-user"];
  const mounts = `mount --bind "${folder}/certs" ${CERTS} && mount --bind "${folder}/local" ${LOCAL} && mount --bind "${folder}/one.conf" /etc/ca-certificates.conf`;
  try {
    const { stdout, stderr } = await run(
      "unshare",
      [...userNamespace, "--mount", "sh", "-c", `${mounts} && ${script}`],
      { timeout: 60_000, env: { PATH: process.env.PATH, HOME: `${folder}/home`, ...environment } },
    );
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

void describe("paddock trust", () => {
  let paddock: Paddock;
  let folder: string;
  let trust: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "paddock-trust-"));
    await mkdir(join(folder, "certs"));
    await writeFile(join(folder, "one.conf"), "mozilla/ISRG_Root_X1.crt\n");
    await mkdir(join(folder, "local"));
    await mkdir(join(folder, "home"));
    assert.equal((await inPrivateStore(folder, "update-ca-certificates --fresh")).code, 0);
    paddock = await Paddock.start({
      workers: 1,
      yaml: (at) => {
        mkdirSync(`${at}/static`);
        writeFileSync(`${at}/static/page.html`, "<!doctype html><title>here</title><h1>Hello</h1>");
        return `issuers: [{ local: true }]
sites: [{ names: [localhost, shop.test], static: { /static/: "${at}/static/" } }]`;
      },
    });
    trust = `${COMMAND} trust --config ${paddock.folder}/paddock.yaml`;
  });

  after(async () => {
    await paddock?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const url = () => `https://localhost:${paddock.httpsPort}/static/page.html`;
  const curl = () => `curl --silent --show-error --max-time 20 ${url()}`;

  void it("lets curl through that knows nothing of the root, and --uninstall takes it back", async () => {
    const before = await inPrivateStore(folder, curl());
    assert.equal(before.code, 60, before.stderr);

    const installed = await inPrivateStore(folder, `${trust} && ${curl()}`);
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, /^system store \(.*\/paddock-[0-9a-f]{16}\.crt\): added$/m);
    assert.match(installed.stdout, /<h1>Hello<\/h1>/);

    const again = await inPrivateStore(folder, `${trust} && ${curl()}`);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /^system store .*: already there$/m);
    assert.match(again.stdout, /<h1>Hello<\/h1>/);

    const gone = await inPrivateStore(folder, `${trust} --uninstall; ${curl()}`);
    assert.equal(gone.code, 60, gone.stderr);
    assert.match(gone.stdout, /^system store .*: removed$/m);

    const nothing = await inPrivateStore(folder, `${trust} --uninstall`);
    assert.equal(nothing.code, 0);
    assert.match(nothing.stdout, /^system store .*: was not there$/m);
  });

  void it("removes nothing of others, be it called as ours", async () => {
    const installed = await inPrivateStore(folder, trust);
    assert.equal(installed.code, 0, installed.stderr);
    const [, path = ""] = /\((\S+paddock-\S+\.crt)\)/.exec(installed.stdout) ?? [];
    const kept = join(folder, "local", path.split("/").at(-1) ?? "");
    const own = await readFile(kept);
    await writeFile(kept, await readFile(join(CERTS, "ca-certificates.crt")));
    await writeFile(join(folder, "local", "other.crt"), own);
    const left = await inPrivateStore(folder, `${trust} --uninstall`);
    assert.match(left.stdout, /^system store .*: was not there$/m);
    await stat(kept);
    await stat(join(folder, "local", "other.crt"));
    await rm(kept);
    await rm(join(folder, "local", "other.crt"));
    await inPrivateStore(folder, `${trust} --uninstall; update-ca-certificates --fresh`);
  });

  void it("gives Chromium a secure page without a flag, and Firefox's profiles the root", async () => {
    const home = join(folder, "browser-home");
    const profile = join(home, ".mozilla/firefox/abc.default");
    await mkdir(profile, { recursive: true });
    await run("certutil", ["-N", "-d", `sql:${profile}`, "--empty-password"]);
    const visit = async (): Promise<{ state: string; issuer: string }> => {
      // A profile that has been here has the page in its cache.
      const context = await chromium.launchPersistentContext(await mkdtemp(join(home, "profile-")), {
        executablePath: "/usr/bin/chromium",
        args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
        env: { PATH: process.env.PATH ?? "", HOME: home },
      });
      try {
        const page = await context.newPage();
        const session = await context.newCDPSession(page);
        await session.send("Security.enable");
        const states: string[] = [];
        session.on("Security.visibleSecurityStateChanged", ({ visibleSecurityState }) => {
          states.push(visibleSecurityState.securityState);
        });
        const response = await page.goto(url());
        assert.equal(await page.textContent("h1"), "Hello");
        const issuer = (await response?.securityDetails())?.issuer ?? "";
        for (let wait = 0; wait < 200 && states.at(-1) !== "secure"; wait++) await page.waitForTimeout(25);
        return { state: states.at(-1) ?? "none", issuer };
      } finally {
        await context.close();
      }
    };
    await assert.rejects(visit(), /ERR_CERT_AUTHORITY_INVALID/);

    const installed = await inPrivateStore(folder, trust, { HOME: home });
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, /^Chromium \(.*\/\.pki\/nssdb\): added$/m);
    assert.match(installed.stdout, /^Firefox \(.*\/abc\.default\): added$/m);
    const seen = await visit();
    assert.equal(seen.state, "secure");
    assert.match(seen.issuer, /^Paddock Local Intermediate CA /);
    const { stdout } = await run("certutil", ["-L", "-d", `sql:${profile}`]);
    assert.match(stdout, /^Paddock root [0-9a-f]{16}\s+C,,\s*$/m);

    const again = await inPrivateStore(folder, trust, { HOME: home });
    assert.match(again.stdout, /^Chromium .*: already there$/m);
    assert.match(again.stdout, /^Firefox .*: already there$/m);

    const removed = await inPrivateStore(folder, `${trust} --uninstall`, { HOME: home });
    assert.equal(removed.code, 0, removed.stderr);
    assert.match(removed.stdout, /^Chromium .*: removed$/m);
    assert.match(removed.stdout, /^Firefox .*: removed$/m);
    await assert.rejects(visit(), /ERR_CERT_AUTHORITY_INVALID/);
  });

  void it("through sudo means the user who called: files stay that user's", { skip: notRoot() }, async () => {
    const [, , uid, gid, , home] = (await run("getent", ["passwd", "nobody"])).stdout.trim().split(":");
    const database = join(folder, "sudo-home/.pki/nssdb");
    await mkdir(database, { recursive: true });
    await run("certutil", ["-N", "-d", `sql:${database}`, "--empty-password"]);
    await run("chown", ["-R", `${uid}:${gid}`, join(folder, "sudo-home")]);
    await chmod(folder, 0o755);
    // `nobody` has no home folder; a getent of the test's own gives it one.
    await mkdir(join(folder, "bin"));
    const line = `nobody:x:${uid}:${gid}:nobody:${folder}/sudo-home:/usr/sbin/nologin`;
    assert.notEqual(home, `${folder}/sudo-home`);
    await writeFile(join(folder, "bin/getent"), `#!/bin/sh\necho "${line}"\n`, { mode: 0o755 });
    const environment = {
      PATH: `${folder}/bin:${process.env.PATH}`,
      SUDO_USER: "nobody",
      SUDO_UID: uid ?? "",
      SUDO_GID: gid ?? "",
    };
    const installed = await inPrivateStore(folder, trust, environment);
    assert.equal(installed.code, 0, installed.stderr);
    assert.match(installed.stdout, /^Chromium \(.*sudo-home.*\): added$/m);
    for (const file of ["cert9.db", "key4.db"])
      assert.equal((await stat(join(database, file))).uid, Number(uid), file);
    const removed = await inPrivateStore(folder, `${trust} --uninstall`, environment);
    assert.match(removed.stdout, /^Chromium .*: removed$/m);
  });

  void it("says what it could not do, and how it can be done", async () => {
    const other = join(folder, "other-home");
    await mkdir(join(other, ".pki/nssdb"), { recursive: true });
    await writeFile(join(other, ".pki/nssdb/cert9.db"), "this is no database");
    const failed = await inPrivateStore(folder, trust, { HOME: other });
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^Chromium .*: failed: .+; close the browser and call it again/m);
    assert.match(failed.stdout, /^system store .*: added$/m);
    await inPrivateStore(folder, `${trust} --uninstall`);
  });

  void it("takes nothing for a root that is none", async () => {
    const bad = join(folder, "bad.pem");
    const cases: readonly (readonly [string, RegExp])[] = [
      ["hello", /must hold one PEM block/],
      ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /holds no certificate/],
      [await readFile(join(CERTS, "ca-certificates.crt"), "utf8"), /must hold one PEM block/],
      [await leafOf(paddock), /is a server's certificate/],
    ];
    for (const [text, message] of cases) {
      await writeFile(bad, text);
      const said = await inPrivateStore(folder, `${COMMAND} trust --root ${bad}`);
      assert.equal(said.code, 1);
      assert.match(said.stderr, message);
    }
    const nowhere = await inPrivateStore(folder, `${COMMAND} trust --root ${folder}/none.pem`);
    assert.match(nowhere.stderr, /ENOENT; start the daemon once/);
    assert.equal((await inPrivateStore(folder, `${COMMAND} trust now`)).code, 2);
  });
});

function notRoot(): string | false {
  return process.geteuid?.() === 0 ? false : "only root can act for another user";
}

/** What the daemon serves first in its chain. */
async function leafOf(paddock: Paddock): Promise<string> {
  const { stdout } = await run("sh", [
    "-c",
    `echo | openssl s_client -connect 127.0.0.1:${paddock.httpsPort} -servername localhost 2>/dev/null | openssl x509`,
  ]);
  return stdout;
}
