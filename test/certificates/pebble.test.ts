/** The manager and the ACME client together, as the supervisor composes them, with Pebble and the real clock. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { acmeIssuer } from "../../src/acme/configured-issuer.ts";
import { CertificateManager } from "../../src/certificates/manager.ts";
import type { ServedCertificate } from "../../src/certificates/status.ts";
import { systemClock } from "../../src/clock.ts";
import { HttpBoard } from "../acme/fixtures.ts";
import { startPebble } from "../parts/pebble.ts";
import { listeningLogger, temporaryFolder } from "./fixtures.ts";

void describe("the manager with Pebble", () => {
  void it("issues, restarts without an order, renews, and keeps the old one when Pebble is gone", async () => {
    await using folder = await temporaryFolder();
    await using board = await new HttpBoard().listen();
    const pebble = await startPebble({ httpPort: board.port, nonceReject: 30, authzReuse: 100 });
    const { log, text } = listeningLogger();
    const sets: (readonly ServedCertificate[])[] = [];
    let waiting = Promise.withResolvers<void>();
    const stored = async (): Promise<ServedCertificate> => {
      for (;;) {
        const [certificate] = sets.at(-1) ?? [];
        if (certificate?.origin === "stored") return certificate;
        await waiting.promise;
      }
    };
    const start = async (): Promise<CertificateManager> => {
      const manager = await CertificateManager.open({
        storage: folder.path,
        clock: systemClock,
        log,
        onServe: async (certificates) => {
          sets.push(certificates);
          waiting.resolve();
          waiting = Promise.withResolvers();
        },
        onAttempt: () => {},
      });
      const issuer = await acmeIssuer(
        {
          kind: "acme",
          name: pebble.directoryUrl,
          directory: pebble.directoryUrl,
          profile: null,
          preferredChain: null,
          trustedRoots: pebble.trustedRootsPath,
          eab: null,
          staging: null,
        },
        {
          email: null,
          accounts: (name) => manager.stores.accounts(name),
          board,
          clock: systemClock,
          version: "0.0.0",
        },
      );
      await manager.configure([
        {
          names: ["example.org", "www.example.org"],
          choice: { kind: "auto" },
          issuers: [issuer, manager.local],
        },
      ]);
      return manager;
    };
    try {
      const first = await start();
      assert.equal(sets[0]?.[0]?.origin, "temporary");
      const issued = await stored();
      const root = new X509Certificate(await pebble.issuingRoot());
      const [, intermediate] = issued.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
      assert.ok(new X509Certificate(intermediate ?? "").verify(root.publicKey));
      await first.close();

      sets.length = 0;
      const second = await start();
      assert.deepEqual((await stored()).fingerprint, issued.fingerprint);
      assert.equal(sets.length, 1, "no temporary one before it");
      await second.settled();
      assert.equal(second.status()[0]?.state, "valid");
      await second.renewNow("www.example.org");
      const renewed = await stored();
      assert.notEqual(renewed.fingerprint, issued.fingerprint);

      await pebble.stop();
      await assert.rejects(second.renewNow("example.org"), /cannot talk to the CA/);
      assert.equal(second.served()[0]?.fingerprint, renewed.fingerprint);
      const [status] = second.status();
      assert.deepEqual([status?.state, status?.serving, status?.failures], ["failing", "stored", 1]);
      const wait = (status?.nextAttempt ?? 0) - (status?.lastError?.at ?? 0);
      assert.ok(wait >= 60_000 && wait <= 63_000, "a minute, and a twentieth at most");
      assert.match(text(), /Nothing listens there: check the directory URL, and that the CA is up/);
      assert.equal(text().includes("PRIVATE KEY"), false);
      await second.close();
    } finally {
      await pebble.stop();
    }
  });
});
