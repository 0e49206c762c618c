/** kill -9 at random moments of all that the storage is written with: the old or the new is there, and never a half. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AccountStore } from "../../src/certificates/account-store.ts";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import { OrderStore } from "../../src/certificates/order-store.ts";
import { RevokedCertificates } from "../../src/certificates/revoked.ts";
import { CertificateStore } from "../../src/certificates/store.ts";
import { systemClock } from "../../src/clock.ts";
import { listeningLogger, temporaryFolder } from "./fixtures.ts";
import { drawing } from "./simulated-ca.ts";

const module = (name: string): string =>
  JSON.stringify(import.meta.resolve(`../../src/certificates/${name}.ts`));

/** Writes and removes all there is to write, over and over; says so after each round. */
const PROGRAM = `
  import { AccountStore } from ${module("account-store")};
  import { DamagedFiles } from ${module("damaged")};
  import { EmbeddedCa } from ${module("embedded-ca")};
  import { OrderStore } from ${module("order-store")};
  import { RevokedCertificates } from ${module("revoked")};
  import { acceptIssued, CertificateStore } from ${module("store")};
  const storage = process.argv[1];
  const clock = { now: () => Date.now(), setTimer: () => ({ cancel() {} }) };
  const log = { warn: (_, text) => console.error(text), info() {} };
  const damaged = new DamagedFiles({ storage, clock, log });
  const ca = await EmbeddedCa.open({ storage, clock, damaged });
  const [issuer, names] = ["first", ["example.org"]];
  const issued = [await ca.issue(names), await ca.issue(names)];
  const store = new CertificateStore({ storage, damaged });
  const orders = new OrderStore({ storage, issuer, damaged });
  const accounts = new AccountStore({ storage, issuer, damaged });
  const revoked = new RevokedCertificates({ storage, damaged });
  const jwk = { kty: "EC", crv: "P-256", x: "x".repeat(43), y: "y".repeat(43), d: "d".repeat(43) };
  for (let turn = 0; ; turn += 1) {
    const key = issued[turn % 2].key;
    await Promise.all([
      (async () => {
        await orders.save(names, { order: "https://ca/" + turn, names, key });
        await store.save(acceptIssued(issued[turn % 2], { issuer, names, now: Date.now() }));
        await orders.remove(names);
      })(),
      accounts.save({ directory: "https://ca/dir", url: "https://ca/" + turn, privateJwk: jwk, email: null }),
      (async () => {
        const revocation = { issuer, names, fingerprint: "f" + (turn % 2), reason: 1, chain: issued[0].chain, key };
        await revoked.begin(revocation);
        await revoked.confirm(revocation, Date.now());
        await revoked.abandon(revocation);
      })(),
    ]);
    if (turn === 0) console.log("all is there once");
  }`;

void describe("kill -9 at any moment", () => {
  const seed = Number(process.env["PADDOCK_TEST_SEED"] ?? Date.now() % 100_000);
  void it(`leaves the old or the new of each file, and the next start removes the rest (seed ${seed})`, async () => {
    await using folder = await temporaryFolder();
    const storage = folder.path;
    const random = drawing(seed);
    let root = "";
    let killedWriting = 0;
    for (let round = 0; round < 12; round += 1) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, storage], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let said = "";
      child.stderr.setEncoding("utf8").on("data", (part: string) => (said += part));
      // The first ones also while the embedded CA is made.
      if (round >= 3) await once(child.stdout, "data");
      await sleep(round < 3 ? 200 + random() * 600 : random() * 60);
      child.kill("SIGKILL");
      await once(child, "close");
      assert.equal(said, "", "nothing that an earlier one left is damaged");

      const left = (await readdir(storage, { recursive: true })).filter((file) => file.endsWith(".tmp"));
      killedWriting += left.length > 0 ? 1 : 0;
      const log = listeningLogger();
      const damaged = new DamagedFiles({ storage, clock: systemClock, log: log.log });
      const ca = await EmbeddedCa.open({ storage, clock: systemClock, damaged });
      if (root !== "") assert.equal(ca.rootCertificatePem, root, "the root is kept once it is there");
      root = ca.rootCertificatePem;
      const options = { storage, issuer: "first", damaged };
      const [stored, order, account] = [
        await new CertificateStore(options).list(),
        await new OrderStore(options).load(["example.org"]),
        await new AccountStore(options).load(),
      ];
      if (round >= 3) assert.equal(stored.length, 1, "a certificate that was there once stays");
      assert.ok(order === null || String(order["key"]).startsWith("-----BEGIN PRIVATE KEY"));
      if (round >= 3) assert.match(account?.url ?? "", /^https:\/\/ca\/\d+$/);
      await new RevokedCertificates(options).unconfirmed();
      assert.equal(log.text(), "", "nothing is damaged");
      const still = (await readdir(storage, { recursive: true })).filter((file) => file.endsWith(".tmp"));
      assert.deepEqual(still, []);
    }
    assert.ok(killedWriting > 0, "some were killed in the midst of a writing");
    assert.equal((await readdir(storage)).includes("damaged"), false);
    assert.ok((await readdir(join(storage, "certificates", "first"))).length === 1);
  });
});
