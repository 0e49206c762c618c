import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { AccountStore } from "../../src/certificates/account-store.ts";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { listFolder, writeDurably } from "../../src/certificates/durable-file.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import { readPair } from "../../src/certificates/certificate-pair.ts";
import { fileNameFor, fileNameForSet } from "../../src/certificates/file-name.ts";
import { acceptIssued, CertificateStore, type StoredCertificate } from "../../src/certificates/store.ts";
import { newestOf, StoredCertificates } from "../../src/certificates/stored-certificates.ts";
import { PaddockError } from "../../src/errors.ts";
import { DAY, listeningLogger, temporaryFolder } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const run = promisify(execFile);

async function parts(): Promise<
  AsyncDisposable & {
    storage: string;
    store: CertificateStore;
    ca: EmbeddedCa;
    damaged: DamagedFiles;
    clock: HeldClock;
    log: ReturnType<typeof listeningLogger>;
    make: (names: string[]) => Promise<StoredCertificate>;
  }
> {
  const folder = await temporaryFolder();
  const storage = folder.path;
  const clock = new HeldClock();
  const log = listeningLogger();
  const damaged = new DamagedFiles({ storage, clock, log: log.log });
  const ca = await EmbeddedCa.open({ storage, clock, damaged });
  const store = new CertificateStore({ storage, damaged });
  const make = async (names: string[]) =>
    acceptIssued(await ca.issue(names), { issuer: "letsencrypt", names, now: clock.now() });
  return {
    storage,
    store,
    ca,
    damaged,
    clock,
    log,
    make,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

void describe("the certificate store", () => {
  void it("gives back what was saved, for the same names in any order", async () => {
    await using on = await parts();
    const saved = await on.make(["example.org", "www.example.org"]);
    await on.store.save({ ...saved, renewal: { start: 1, end: 3, at: 2 } });
    const loaded = await on.store.load("letsencrypt", ["www.example.org", "example.org"]);
    assert.deepEqual(loaded, { ...saved, renewal: { start: 1, end: 3, at: 2 } });
    assert.equal(await on.store.load("letsencrypt", ["example.org"]), null);
    assert.equal(await on.store.load("zerossl", ["example.org", "www.example.org"]), null);
    assert.deepEqual(await on.store.list(), [loaded]);
  });

  void it("lets only the owner in: folders 0700, files 0600, the public root 0644", async () => {
    await using on = await parts();
    await on.store.save(await on.make(["*.example.org"]));
    const accounts = new AccountStore({ storage: on.storage, issuer: "https://ca/dir", damaged: on.damaged });
    await accounts.save({ directory: "d", url: null, privateJwk: {}, email: null });
    const entries = await readdir(on.storage, { recursive: true, withFileTypes: true });
    assert.ok(entries.length >= 8);
    for (const entry of entries) {
      const mode = (await stat(join(entry.parentPath, entry.name))).mode & 0o777;
      const expected = entry.isDirectory() ? 0o700 : entry.name === "root.pem" ? 0o644 : 0o600;
      assert.equal(mode.toString(8), expected.toString(8), entry.name);
    }
  });

  void it("ignores and removes what a killed process left half-written", async () => {
    await using on = await parts();
    const saved = await on.make(["example.org"]);
    await on.store.save(saved);
    const folder = join(on.storage, "certificates", "letsencrypt");
    const left = join(folder, ".example.org.json.0011.tmp");
    await writeFile(left, '{"version":1,"chain":"-----BEGIN');
    assert.deepEqual(await on.store.list(), [saved]);
    assert.deepEqual(await listFolder(folder), [`${fileNameForSet(["example.org"])}.json`]);
    assert.equal((await filesBelow(folder)).includes(left), false);
  });

  void it("keeps the old file whole when a process is killed while it writes, again and again", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "file");
    const script = `
      import { writeDurably } from ${JSON.stringify(join(import.meta.dirname, "../../src/certificates/durable-file.ts"))};
      for (let turn = 0; ; turn += 1) {
        await writeDurably(${JSON.stringify(path)}, String(turn % 10).repeat(200_000));
        if (turn === 3) console.log("writing");
      }`;
    for (let killed = 0; killed < 4; killed += 1) {
      const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await once(child.stdout, "data");
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
      const text = await readFile(path, "utf8");
      assert.equal(text.length, 200_000);
      assert.equal(text, (text[0] ?? "").repeat(200_000));
    }
    await writeDurably(path, "after");
    assert.deepEqual((await listFolder(folder.path)).length, 1);
  });

  void it("sets a damaged entry aside, says so, and never shows a key in the log", async () => {
    await using on = await parts();
    const good = await on.make(["example.org"]);
    const other = await on.make(["other.example.org"]);
    const document = { version: 1, ...good, names: ["example.org"] };
    await on.store.save(good);
    const path = join(on.storage, "certificates", "letsencrypt", `${fileNameForSet(["example.org"])}.json`);
    const saved = await readFile(path, "utf8");
    const damages = {
      "cut off": JSON.stringify(document).slice(0, -40),
      "not JSON": good.key,
      "key of another": JSON.stringify({ ...document, key: other.key }),
      "not PEM": JSON.stringify({ ...document, chain: "hello" }),
      "another key where a digest is": saved.replace(JSON.stringify(good.key), JSON.stringify(other.key)),
      "other names": JSON.stringify({ ...document, names: ["elsewhere.example.org"] }),
      "from the future": JSON.stringify({ ...document, version: 2 }),
      null: "null",
      empty: "",
    };
    for (const [kind, text] of Object.entries(damages)) {
      await on.store.save(good);
      await writeFile(path, text);
      await on.clock.advance(1000, async () => {});
      assert.equal(await on.store.load("letsencrypt", ["example.org"]), null, kind);
      assert.deepEqual(await on.store.list(), [], kind);
    }
    assert.equal((await filesBelow(join(on.storage, "damaged"))).length, Object.keys(damages).length);
    assert.equal(on.log.lines.length, Object.keys(damages).length);
    assert.match(on.log.text(), /was moved to .*a new certificate is obtained/);
    const secret = good.key.split("\n")[1] ?? "none";
    assert.equal(on.log.text().includes(secret.slice(0, 20)), false);
  });

  void it("says what to do when the storage cannot be written", async () => {
    await using on = await parts();
    await writeFile(join(on.storage, "certificates"), "in the way");
    await assert.rejects(
      on.make(["example.org"]).then((made) => on.store.save(made)),
      (error: unknown) => {
        assert.ok(error instanceof PaddockError);
        assert.equal(error.code, "storage.failed");
        assert.match(error.fix ?? "", /owns the storage folder/);
        return true;
      },
    );
  });
});

void describe("what the storage had", () => {
  void it("is found by issuer and names, and stands in where it covers a name", async () => {
    await using on = await parts();
    const own = await on.make(["a.example.org", "b.example.org"]);
    const wildcard = { ...(await on.make(["*.example.org"])), notAfter: own.notAfter + DAY };
    const ended = { ...(await on.make(["a.example.org"])), notAfter: on.clock.now() - 1 };
    const local = { ...(await on.make(["a.example.org"])), issuer: "local" };
    const all = new StoredCertificates([own, wildcard, ended, local]);
    assert.equal(all.of("letsencrypt", ["b.example.org", "a.example.org"]), own);
    assert.equal(all.of("zerossl", ["a.example.org", "b.example.org"]), null);
    assert.deepEqual(all.standInsFor(["A.example.org", "else.where"], "local", on.clock.now()), [
      wildcard,
      own,
    ]);
    assert.deepEqual(all.standInsFor(["example.org"], "local", on.clock.now()), []);
    assert.equal(
      newestOf([null, ended, own, { ...wildcard, issuedAt: own.issuedAt + 1 }], on.clock.now())?.names[0],
      "*.example.org",
    );
  });
});

void describe("a certificate's names", () => {
  void it("are read from whatever subjectAltName it has", async () => {
    await using on = await parts();
    const { chain, key } = await on.make(["b.example.org", "*.example.org", "192.0.2.1", "2001:db8::1"]);
    assert.deepEqual(readPair(chain, key).certified, [
      "b.example.org",
      "*.example.org",
      "192.0.2.1",
      "2001:db8::1",
    ]);
    const folder = on.storage;
    const san = "subjectAltName=URI:https://x.test/,DNS:A.test,email:a@b.test,IP:::1,DNS:c.test";
    await run(
      "openssl",
      [
        ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout k.pem -out c.pem -addext".split(
          " ",
        ),
        san,
      ],
      { cwd: folder },
    );
    const [pem, secret] = await Promise.all(
      ["c.pem", "k.pem"].map((name) => readFile(join(folder, name), "utf8")),
    );
    assert.deepEqual(readPair(String(pem), String(secret)).certified, ["a.test", "::1", "c.test"]);
  });

  void it("are not made of what stands inside another entry", async () => {
    await using on = await parts();
    const config =
      "[req]\ndistinguished_name=d\nx509_extensions=e\n[d]\n[e]\nsubjectAltName=@s\n[s]\nURI.1=https://x.test/, DNS:evil.test\nDNS.1=a.test\n";
    await writeFile(join(on.storage, "c.cnf"), config);
    await run(
      "openssl",
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout k.pem -out c.pem -config c.cnf".split(
        " ",
      ),
      { cwd: on.storage },
    );
    const [pem, secret] = await Promise.all(
      ["c.pem", "k.pem"].map((name) => readFile(join(on.storage, name), "utf8")),
    );
    assert.deepEqual(readPair(String(pem), String(secret)).certified, ["a.test"]);
  });
});

void describe("names as file names", () => {
  void it("are readable where they can be, and never leave their folder", () => {
    assert.equal(fileNameFor("letsencrypt"), "letsencrypt");
    for (const name of [
      "../../etc/passwd",
      ".hidden",
      "..",
      "a/b",
      "https://127.0.0.1:14000/dir",
      "*.example.org",
      "",
    ]) {
      assert.match(fileNameFor(name), /^([a-z0-9][a-z0-9._-]*)?-[0-9a-f]{10}$/, name);
    }
    assert.notEqual(fileNameFor("a/b"), fileNameFor("a_b"));
    assert.ok(fileNameFor("x".repeat(300)).length < 120);
  });
});

void describe("the account store", () => {
  void it("keeps an account, and sets a damaged one aside", async () => {
    await using on = await parts();
    const store = new AccountStore({ storage: on.storage, issuer: "letsencrypt", damaged: on.damaged });
    assert.equal(await store.load(), null);
    const privateJwk = { kty: "EC", crv: "P-256", x: "x", y: "y", d: "secret-part" };
    const account = { directory: "https://ca/dir", url: "https://ca/1", privateJwk, email: null };
    await store.save(account);
    assert.deepEqual(await store.load(), account);
    const path = join(on.storage, "accounts", "letsencrypt", "account.json");
    await writeFile(path, '{"privateJwk": {"d": "secret-part"}');
    assert.equal(await store.load(), null);
    assert.match(on.log.text(), /a new account is registered/);
    assert.equal(on.log.text().includes("secret-part"), false);
  });
});

void describe("the embedded CA", () => {
  void it("makes chains that OpenSSL verifies for DNS names and IP addresses, and keeps its root", async () => {
    await using on = await parts();
    const { chain } = await on.ca.issue(["localhost", "*.app.test", "127.0.0.1", "::1"]);
    const [leaf, intermediate] = chain.split(/(?<=-----END CERTIFICATE-----\n)/) as [string, string];
    const folder = join(on.storage, "check");
    await mkdir(folder);
    await writeFile(join(folder, "leaf.pem"), leaf);
    await writeFile(join(folder, "intermediate.pem"), intermediate);
    const verify = (...argv: string[]) =>
      run("openssl", [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        on.ca.rootCertificatePath,
        "-untrusted",
        join(folder, "intermediate.pem"),
        ...argv,
        join(folder, "leaf.pem"),
      ]);
    await verify("-verify_hostname", "localhost");
    await verify("-verify_hostname", "x.app.test");
    await verify("-verify_ip", "127.0.0.1");
    await verify("-verify_ip", "::1");
    await assert.rejects(verify("-verify_hostname", "example.org"));
    const again = await EmbeddedCa.open({ storage: on.storage, clock: on.clock, damaged: on.damaged });
    assert.equal(again.rootCertificatePem, on.ca.rootCertificatePem);
    assert.equal(await readFile(on.ca.rootCertificatePath, "utf8"), on.ca.rootCertificatePem);
  });

  void it("makes a new intermediate before the end of the old one, under the same root", async () => {
    await using on = await parts();
    const intermediateOf = async () =>
      new X509Certificate(
        (await on.ca.issue(["a.test"])).chain.split(/(?<=-----END CERTIFICATE-----\n)/)[1] ?? "",
      );
    const first = await intermediateOf();
    await on.clock.advance(100 * DAY, async () => {});
    assert.equal((await intermediateOf()).fingerprint256, first.fingerprint256);
    await on.clock.advance(500 * DAY, async () => {});
    const second = await intermediateOf();
    assert.notEqual(second.fingerprint256, first.fingerprint256);
    assert.ok(second.verify(new X509Certificate(on.ca.rootCertificatePem).publicKey));
  });

  void it("starts anew with a log line when its root is damaged", async () => {
    await using on = await parts();
    await writeFile(join(on.storage, "ca", "root.json"), "{}");
    const again = await EmbeddedCa.open({ storage: on.storage, clock: on.clock, damaged: on.damaged });
    assert.notEqual(again.rootCertificatePem, on.ca.rootCertificatePem);
    assert.match(on.log.text(), /has to be trusted anew/);
    const { chain } = await again.issue(["a.test"]);
    const intermediate = new X509Certificate(chain.split(/(?<=-----END CERTIFICATE-----\n)/)[1] ?? "");
    assert.ok(intermediate.verify(new X509Certificate(again.rootCertificatePem).publicKey));
  });
});
