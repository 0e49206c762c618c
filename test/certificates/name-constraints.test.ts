import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { certify, exportKey, loadAuthority, type Authority } from "../../src/certificates/authority.ts";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import { x509 } from "../../src/tls/x509.ts";
import { HOUR, listeningLogger, setup, temporaryFolder } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const run = promisify(execFile);

interface Issued {
  readonly chain: string;
  readonly key: string;
}

async function openCa() {
  const folder = await temporaryFolder();
  const clock = new HeldClock();
  clock.now = () => Date.now();
  const damaged = new DamagedFiles({ storage: folder.path, clock, log: listeningLogger().log });
  const open = () => EmbeddedCa.open({ storage: folder.path, clock, damaged });
  /** What somebody with the intermediate's key may sign, who does not keep to its constraints. */
  const forge = async (name: string, type: "dns" | "ip"): Promise<Issued> => {
    const intermediate = (await loadAuthority(
      join(folder.path, "ca/intermediate.json"),
      damaged,
      "",
    )) as Authority;
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const subject = {
      name: "",
      lifetime: HOUR,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type, value: name }], true)],
    };
    const publicKey = keys.publicKey.export({ type: "spki", format: "der" });
    const { certificate } = await certify(intermediate, publicKey, subject, Date.now());
    return { chain: certificate + intermediate.certificate, key: exportKey(keys.privateKey) };
  };
  return { folder: folder.path, open, forge, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

function intermediateOf({ chain }: { chain: string }): string {
  return chain.split(/(?<=-----END CERTIFICATE-----\n)/)[1] ?? "";
}

/** What openssl verify, curl and Python's ssl say; null where they are content. */
async function verdicts(folder: string, root: string, issued: Issued, name: string) {
  await writeFile(join(folder, "chain.pem"), issued.chain);
  await writeFile(join(folder, "intermediate.pem"), intermediateOf(issued));
  const server = createServer({ cert: issued.chain, key: issued.key }, (socket) =>
    socket
      .on("error", () => undefined)
      .resume()
      .end("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
  );
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const judge = async (command: string, argv: string[]): Promise<string | null> => {
    try {
      await run(command, argv, { timeout: 20_000 });
      return null;
    } catch (error) {
      return String((error as { stderr?: string }).stderr);
    }
  };
  const host = name.includes(":") ? `[${name}]` : name;
  const script = `import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
with socket.create_connection(("127.0.0.1", int(sys.argv[2])), 10) as plain:
    context.wrap_socket(plain, server_hostname=sys.argv[3]).close()`;
  try {
    return {
      openssl: await judge("openssl", [
        ..."verify -x509_strict -purpose sslserver -CAfile".split(" "),
        root,
        "-untrusted",
        join(folder, "intermediate.pem"),
        join(folder, "chain.pem"),
      ]),
      curl: await judge("curl", [
        ...`-sS --max-time 10 --connect-to ::127.0.0.1:${port} --cacert`.split(" "),
        root,
        `https://${host}:${port}/`,
      ]),
      python: await judge("/usr/bin/python3", ["-c", script, root, String(port), name]),
    };
  } finally {
    await once(server.close(), "close");
  }
}

void describe("the embedded CA's intermediate", () => {
  void it("is good for the names of the configuration, in openssl, curl and Python", async () => {
    await using on = await openCa();
    const ca = await on.open();
    const names = ["localhost", "app.test", "*.app.test", "10.1.2.3", "fd00::1"];
    ca.sites.permit(names);
    const issued = await ca.issue(names);
    const text = (await run("openssl", ["x509", "-noout", "-text", "-in", await file(on.folder, issued)]))
      .stdout;
    assert.match(text, /Name Constraints: critical/);
    assert.match(text, /DNS:app\.test\s+DNS:localhost\s+IP:10\.1\.2\.3\/255\.255\.255\.255\s+IP:FD00/);
    for (const name of ["localhost", "app.test", "deep.app.test", "10.1.2.3", "fd00::1"])
      assert.deepEqual(
        await verdicts(on.folder, ca.rootCertificatePath, issued, name),
        { openssl: null, curl: null, python: null },
        name,
      );
  });

  void it("is not good for others, whoever signs with its key", async () => {
    await using on = await openCa();
    const ca = await on.open();
    ca.sites.permit(["app.test"]);
    await ca.issue(["app.test"]);
    for (const [name, type] of [
      ["example.org", "dns"],
      ["notapp.test", "dns"],
      ["127.0.0.1", "ip"],
      ["::1", "ip"],
    ] as const) {
      const forged = await on.forge(name, type);
      const said = await verdicts(on.folder, ca.rootCertificatePath, forged, name);
      assert.match(said.openssl ?? "", /(?:permitted|excluded) subtree violation/, name);
      assert.match(said.curl ?? "", /curl: \(60\).*(?:permitted|excluded) subtree violation/, name);
      assert.match(said.python ?? "", /(?:permitted|excluded) subtree violation/, name);
    }
  });

  void it("with addresses alone is good for no host, and the other way round", async () => {
    await using on = await openCa();
    const ca = await on.open();
    ca.sites.permit(["127.0.0.1"]);
    const issued = await ca.issue(["127.0.0.1"]);
    assert.equal((await verdicts(on.folder, ca.rootCertificatePath, issued, "127.0.0.1")).python, null);
    for (const [name, type] of [
      ["app.test", "dns"],
      ["127.0.0.2", "ip"],
      ["::1", "ip"],
    ] as const) {
      const said = await verdicts(on.folder, ca.rootCertificatePath, await on.forge(name, type), name);
      assert.match(said.openssl ?? "", /subtree violation/, name);
    }
  });

  void it("stays while the names stay, is made anew for others, and after a restart is found again", async () => {
    await using on = await openCa();
    const ca = await on.open();
    ca.sites.permit(["a.test", "b.test"]);
    const first = intermediateOf(await ca.issue(["a.test"]));
    ca.sites.permit(["b.test", "sub.a.test", "a.test"]);
    assert.equal(intermediateOf(await ca.issue(["sub.a.test"])), first);
    const again = await on.open();
    again.sites.permit(["a.test", "b.test"]);
    assert.equal(intermediateOf(await again.issue(["b.test"])), first);
    again.sites.permit(["a.test", "c.test"]);
    const issued = await again.issue(["c.test"]);
    assert.notEqual(intermediateOf(issued), first);
    assert.equal((await verdicts(on.folder, again.rootCertificatePath, issued, "c.test")).openssl, null);
  });

  void it("of a storage without constraints gives way, below the root that was trusted", async () => {
    await using on = await openCa();
    const old = await on.open();
    const before = intermediateOf(await old.issue(["a.test"]));
    const ca = await on.open();
    ca.sites.permit(["a.test"]);
    const issued = await ca.issue(["a.test"]);
    assert.notEqual(intermediateOf(issued), before);
    assert.equal(ca.rootCertificatePem, old.rootCertificatePem);
    assert.ok(
      new X509Certificate(intermediateOf(issued)).verify(
        new X509Certificate(old.rootCertificatePem).publicKey,
      ),
    );
  });

  void it("has no constraints where the list would be too long for a handshake", async () => {
    await using on = await openCa();
    const ca = await on.open();
    const names = Array.from({ length: 33 }, (_, index) => `site${index}.test`);
    ca.sites.permit(names);
    const issued = await ca.issue(["site32.test"]);
    assert.equal(
      new x509.X509Certificate(intermediateOf(issued)).getExtension("2.5.29.30"),
      null,
      "constraints",
    );
    ca.sites.permit([...names, "test"]);
    assert.ok(
      new x509.X509Certificate(intermediateOf(await ca.issue(["a.test"]))).getExtension("2.5.29.30"),
      "33 names below one are one",
    );
  });

  void it("for other machines refuses what it is not here for", async () => {
    await using on = await openCa();
    const ca = await on.open();
    ca.acme.permit(["*.internal"]);
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const spki = publicKey.export({ type: "spki", format: "der" });
    assert.match(await ca.acme.certify(["db.internal"], spki, HOUR), /BEGIN CERTIFICATE/);
    for (const name of ["example.org", "notinternal", "db.internal.example", "10.0.0.1"])
      await assert.rejects(ca.acme.certify([name], spki, HOUR), { code: "certificate.not-permitted" }, name);
  });

  void it("follows the manager's configuration, and a refused one changes nothing", async () => {
    const clock = new HeldClock();
    await using on = await setup(clock);
    const manager = await on.open();
    await manager.configure([{ names: ["a.test"], choice: { kind: "local" }, issuers: [] }]);
    const first = intermediateOf({ chain: manager.served()[0]?.chain ?? "" });
    const broken = { kind: "files", cert: "/nowhere.pem", key: "/nowhere.pem" } as const;
    await assert.rejects(
      manager.configure([
        { names: ["b.test"], choice: { kind: "local" }, issuers: [] },
        { names: ["c.test"], choice: broken, issuers: [] },
      ]),
    );
    assert.deepEqual(manager.ca.sites.permitted, ["a.test"]);
    await manager.configure([{ names: ["b.test"], choice: { kind: "local" }, issuers: [] }]);
    assert.notEqual(intermediateOf({ chain: manager.served()[0]?.chain ?? "" }), first);
  });
});

async function file(folder: string, issued: { chain: string }): Promise<string> {
  const path = join(folder, "shown.pem");
  await writeFile(path, intermediateOf(issued));
  assert.match(await readFile(path, "utf8"), /BEGIN/);
  return path;
}
