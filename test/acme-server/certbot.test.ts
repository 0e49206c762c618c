import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { HttpBoard, issuerWith, never } from "../acme/fixtures.ts";
import { freePorts } from "../parts/pebble.ts";
import { Paddock } from "../parts/paddock.ts";

const run = promisify(execFile);

void describe("the embedded CA as an ACME server", () => {
  let paddock: Paddock;
  let folder: string;
  let httpPort: number;
  let directory: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "paddock-certbot-"));
    const ports = (await freePorts(2)) as [number, number];
    httpPort = ports[0];
    directory = `https://127.0.0.1:${ports[1]}/directory`;
    paddock = await Paddock.start({
      workers: 1,
      hosts: "127.0.0.1 localhost db.internal mail.internal other.internal\n",
      yaml: () => `issuers: [{ local: true }]
localCA:
  acme: { listen: "127.0.0.1:${ports[1]}", httpPort: ${httpPort}, names: ["*.internal", "127.0.0.1"] }
sites: [{ names: [localhost], static: { /: "/usr/share/doc/base-files/" } }]`,
    });
  });

  after(async () => {
    await paddock?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const certbot = async (...argv: string[]): Promise<{ code: number; text: string }> => {
    const folders = ["config", "work", "logs"].flatMap((name) => [`--${name}-dir`, join(folder, name)]);
    try {
      const { stdout, stderr } = await run(
        "certbot",
        [...argv, "--non-interactive", "--server", directory, ...folders],
        {
          timeout: 80_000,
          env: { PATH: process.env.PATH, HOME: folder, REQUESTS_CA_BUNDLE: paddock.rootPath },
        },
      );
      return { code: 0, text: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      // Debian 12's certbot trips over its own error while reporting it; its log has the CA's words.
      const log = await readFile(join(folder, "logs/letsencrypt.log"), "utf8");
      return { code, text: stdout + stderr + log };
    }
  };
  const lineage = (file: string): string => join(folder, "config/live/db.internal", file);
  const verify = async (name: string): Promise<void> => {
    await run("openssl", [
      ...`verify -x509_strict -purpose sslserver -verify_hostname ${name} -CAfile`.split(" "),
      paddock.rootPath,
      "-untrusted",
      lineage("chain.pem"),
      lineage("cert.pem"),
    ]);
  };
  const serial = async (): Promise<string> =>
    new X509Certificate(await readFile(lineage("cert.pem"))).serialNumber;

  void it("gives certbot a certificate, renews it and revokes it", async () => {
    const issued = await certbot(
      ..."certonly --standalone --agree-tos -m you@example.org --no-eff-email --http-01-address 127.0.0.1".split(
        " ",
      ),
      "--http-01-port",
      String(httpPort),
      ..."-d db.internal -d mail.internal".split(" "),
    );
    assert.equal(issued.code, 0, issued.text + paddock.output.slice(-3000));
    await verify("db.internal");
    await verify("mail.internal");
    const first = await serial();

    const renewed = await certbot("renew", "--force-renewal", "--no-random-sleep-on-renew");
    assert.equal(renewed.code, 0, renewed.text);
    assert.notEqual(await serial(), first);
    await verify("mail.internal");

    const revoked = await certbot(
      ..."revoke --no-delete-after-revoke --reason keycompromise --cert-path".split(" "),
      lineage("cert.pem"),
    );
    assert.equal(revoked.code, 0, revoked.text);
    const again = await certbot(
      ..."revoke --no-delete-after-revoke --cert-path".split(" "),
      lineage("cert.pem"),
    );
    assert.equal(again.code, 1);
    assert.match(again.text, /alreadyRevoked/);
    assert.match(paddock.output, /revoked/);
  });

  void it("lets certbot revoke by the certificate's key, change its contact and close its account", async () => {
    const issued = await certbot(
      ..."certonly --standalone --key-type rsa --force-renewal --cert-name db.internal".split(" "),
      ..."--http-01-address 127.0.0.1 --http-01-port".split(" "),
      String(httpPort),
      "-d",
      "db.internal",
    );
    assert.equal(issued.code, 0, issued.text);
    const byKey = await certbot(
      "revoke",
      "--no-delete-after-revoke",
      "--cert-path",
      lineage("cert.pem"),
      "--key-path",
      lineage("privkey.pem"),
    );
    assert.equal(byKey.code, 0, byKey.text);
    const updated = await certbot("update_account", "-m", "other@example.org", "--no-eff-email");
    assert.equal(updated.code, 0, updated.text);
    const closed = await certbot("unregister");
    assert.equal(closed.code, 0, closed.text);
  });

  void it("refuses certbot a public name, before anything is asked of that name", async () => {
    const refused = await certbot(
      ..."certonly --standalone --agree-tos --register-unsafely-without-email --http-01-address 127.0.0.1".split(
        " ",
      ),
      "--http-01-port",
      String(httpPort),
      "-d",
      "www.example.org",
    );
    assert.equal(refused.code, 1);
    assert.match(refused.text, /rejectedIdentifier|not here for/);
  });

  void it("serves Paddock's own ACME client, for a name and for an address", async () => {
    await using board = await new HttpBoard().listen("127.0.0.1", httpPort);
    const issuer = issuerWith({
      directory,
      trustedRoots: await readFile(paddock.rootPath, "utf8"),
      email: "you@example.org",
      board,
    });
    for (const names of [["other.internal"], ["127.0.0.1"]]) {
      const { chain, key } = await issuer.issue({ names, replaces: null, signal: never });
      const leaf = new X509Certificate(chain);
      assert.match(key, /PRIVATE KEY/);
      assert.equal(leaf.checkHost("other.internal") ?? leaf.checkIP("127.0.0.1"), names[0]);
      await writeFile(join(folder, "chain.pem"), chain);
      await run("openssl", [
        ...`verify -x509_strict -purpose sslserver -untrusted ${folder}/chain.pem -CAfile`.split(" "),
        paddock.rootPath,
        join(folder, "chain.pem"),
      ]);
    }
    assert.equal(board.shown.size, 0, "tokens left on the board");
  });
});
