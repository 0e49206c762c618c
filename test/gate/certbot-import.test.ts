/** certbot's certificates, keys and account, made by certbot with Pebble and taken over by the daemon. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { once } from "node:events";
import { promisify } from "node:util";
import { Paddock } from "../parts/paddock.ts";
import { freePorts, startPebble, type Pebble } from "../parts/pebble.ts";

const run = promisify(execFile);
const COMMAND = resolve(import.meta.dirname, "../../bin/paddock");
const NOBODY = 65_534;

interface Report {
  readonly lineages: readonly {
    readonly lineage: string;
    readonly outcome: string;
    readonly served: boolean;
    readonly remarks: readonly string[];
  }[];
  readonly accounts: readonly { readonly outcome: string; readonly remark: string }[];
  readonly running: boolean;
}

async function servedFingerprint(port: number, servername: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

describe("paddock certs import of a folder that certbot made", () => {
  let pebble: Pebble;
  let folder: string;
  let letsencrypt: string;
  let paddock: Paddock | null = null;

  const certbot = async (...args: string[]): Promise<void> => {
    const homes = ["config", "work", "logs"].flatMap((home) => [`--${home}-dir`, join(folder, home)]);
    await run("certbot", [...args, ...homes, "--non-interactive", "--server", pebble.directoryUrl], {
      env: { ...process.env, REQUESTS_CA_BUNDLE: pebble.trustedRootsPath },
      timeout: 60_000,
    });
  };
  const obtain = async (...names: string[]): Promise<void> =>
    await certbot(
      "certonly",
      "--standalone",
      "--http-01-port",
      String(pebble.httpPort),
      "--agree-tos",
      "-m",
      "you@example.org",
      ...names.flatMap((name) => ["-d", name]),
    );
  const yaml = (): string => `email: you@example.org
issuers: [{ acme: "${pebble.directoryUrl}", trustedRoots: "${pebble.trustedRootsPath}" }]
sites:
  - { names: [www.one.example.org, one.example.org], upstream: "http://127.0.0.1:1" }
  - { names: [two.example.org], upstream: "http://127.0.0.1:1" }
  - { names: [three.example.org, more.example.org], upstream: "http://127.0.0.1:1" }`;
  const importInto = async (
    configuration: string,
  ): Promise<{ code: number; report: Report; error: string }> => {
    const args = ["certs", "import", letsencrypt, "--config", configuration, "--json"];
    const { stdout, stderr, code } = await run(COMMAND, args).then(
      (done) => ({ ...done, code: 0 }),
      (error: unknown) => error as { stdout: string; stderr: string; code: number },
    );
    return { code, report: JSON.parse(stdout || "{}") as Report, error: stderr };
  };
  const written = async (): Promise<string> => {
    const path = join(folder, "paddock.yaml");
    const text = `storage: ${folder}/store
admin: { listen: false, socket: ${folder}/control.sock }
${yaml()}`;
    await writeFile(path, text);
    return path;
  };
  const certbotsFingerprint = async (lineage: string): Promise<string> =>
    new X509Certificate(await readFile(join(letsencrypt, "live", lineage, "cert.pem"))).fingerprint256;

  before(async () => {
    const [httpPort] = (await freePorts(1)) as [number];
    // certbot 2.1 crashes where it should tell of a nonce that was refused.
    pebble = await startPebble({ httpPort, nonceReject: 0, certificateValidity: 90 * 86_400 });
    folder = await mkdtemp(join(tmpdir(), "paddock-certbot-"));
    // As /var/lib is: whoever owns the storage must be able to go there.
    await chmod(folder, 0o755);
    letsencrypt = join(folder, "config");
    await obtain("one.example.org", "www.one.example.org");
    await obtain("two.example.org");
    await obtain("three.example.org");
    await obtain("four.example.org");
    const key = join(letsencrypt, "archive/two.example.org/privkey1.pem");
    await writeFile(key, (await readFile(key, "utf8")).slice(0, 100));
    await rm(join(letsencrypt, "live/four.example.org/fullchain.pem"));
  });

  after(async () => {
    await paddock?.stop();
    await pebble.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("takes what is whole, names what is damaged, and keeps every key to its owner", async () => {
    await mkdir(join(folder, "store"), { mode: 0o700 });
    await chown(join(folder, "store"), NOBODY, NOBODY);
    const { code, report } = await importInto(await written());
    assert.equal(code, 1);
    const outcomes = report.lineages.map(({ lineage, outcome, served }) => `${lineage} ${outcome} ${served}`);
    assert.deepEqual(outcomes, [
      "four.example.org skipped false",
      "one.example.org imported true",
      "three.example.org imported false",
      "two.example.org skipped false",
    ]);
    assert.match(String(report.lineages[0]?.remarks), /a file of it is missing/);
    assert.match(String(report.lineages[2]?.remarks), /no site has exactly these names/);
    assert.match(String(report.lineages[3]?.remarks), /the key is not an unencrypted PEM private key/);
    assert.deepEqual(
      report.accounts.map(({ outcome }) => outcome),
      ["imported"],
    );
    assert.equal(report.running, false);
    const entries = await readdir(join(folder, "store"), { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    assert.equal(files.length, 3);
    for (const file of files) {
      const { mode, uid } = await stat(file);
      assert.deepEqual([mode & 0o777, uid], [0o600, NOBODY], file);
    }
    await chown(join(folder, "store"), 0, 0);
  });

  test("nothing is issued anew for a lineage whose names are a site's, and renewals have the same account", async () => {
    const issued = (): number => pebble.log().match(/Issued certificate serial/g)?.length ?? 0;
    const accounts = async (): Promise<string[]> => {
      const root = join(letsencrypt, "accounts");
      const all = await readdir(root, { recursive: true });
      const [registration = ""] = all.filter((name) => name.endsWith("regr.json"));
      const certbots = JSON.parse(await readFile(join(root, registration), "utf8")) as { uri: string };
      const own = join(folder, "store/accounts");
      const [file = ""] = (await readdir(own, { recursive: true })).filter((name) => name.endsWith(".json"));
      return [certbots.uri, (JSON.parse(await readFile(join(own, file), "utf8")) as { url: string }).url];
    };
    paddock = await Paddock.start({ folder, httpPort: pebble.httpPort, workers: 1, yaml });
    const before = await certbotsFingerprint("one.example.org");
    assert.equal(await servedFingerprint(paddock.httpsPort, "www.one.example.org"), before);
    // The lineage of one name stands in for it, until the site's own two are certified.
    await paddock.until("the other two sites to have theirs", () => issued() === 6);
    assert.equal(await servedFingerprint(paddock.httpsPort, "one.example.org"), before);
    const renewed = await paddock.command("certs", "renew", "one.example.org");
    assert.equal(renewed.code, 0, renewed.stderr);
    assert.notEqual(await servedFingerprint(paddock.httpsPort, "one.example.org"), before);
    const [certbots, own] = await accounts();
    assert.equal(own, certbots);
    assert.doesNotMatch(paddock.output, /accountDoesNotExist/);
  });

  test("a running daemon is told, and what it has is not taken back", async () => {
    assert.ok(paddock !== null);
    const before = await servedFingerprint(paddock.httpsPort, "one.example.org");
    const { report } = await importInto(join(folder, "paddock.yaml"));
    assert.equal(report.running, true);
    assert.equal(report.lineages.find(({ lineage }) => lineage === "one.example.org")?.outcome, "kept");
    assert.equal(await servedFingerprint(paddock.httpsPort, "one.example.org"), before);
  });

  test("a folder that is none of certbot's is refused with what to do", async () => {
    const args = ["certs", "import", join(folder, "logs"), "--config", join(folder, "paddock.yaml")];
    await assert.rejects(run(COMMAND, args), (error: { code?: number; stderr?: string }) => {
      assert.equal(error.code, 1);
      assert.match(
        String(error.stderr),
        /cannot read .*logs.*; name the folder that has certbot's renewal folder/,
      );
      return true;
    });
  });
});
