import assert from "node:assert/strict";
import { test } from "node:test";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import { readPair } from "../../src/certificates/certificate-pair.ts";
import { certificateChanges, keyed } from "../../src/supervisor/certificate-changes.ts";
import { CertificateTable } from "../../src/tls/certificate-table.ts";
import { certificateKey, type TlsCertificate } from "../../src/tls/certificate.ts";
import { TLS_POLICIES } from "../../src/tls/policy.ts";
import { listeningLogger, temporaryFolder } from "../certificates/fixtures.ts";
import { HeldClock } from "../certificates/held-clock.ts";

const KEYS = Buffer.alloc(48);

async function makeCertificates(...sets: string[][]): Promise<TlsCertificate[]> {
  await using folder = await temporaryFolder();
  const clock = new HeldClock();
  const damaged = new DamagedFiles({ storage: folder.path, clock, log: listeningLogger().log });
  const ca = await EmbeddedCa.open({ storage: folder.path, clock, damaged });
  return await Promise.all(
    sets.map(async (names) => {
      const { chain, key } = await ca.issue(names);
      const { fingerprint } = readPair(chain, key);
      return { names, chain, key, fingerprint };
    }),
  );
}

void test("a renewed certificate takes the place of the old one, and the others keep their contexts", async () => {
  const [old, renewed, other] = (await makeCertificates(["a.test"], ["a.test"], ["b.test"])) as [
    TlsCertificate,
    TlsCertificate,
    TlsCertificate,
  ];
  const table = new CertificateTable(TLS_POLICIES.modern, KEYS);
  table.change([old, other], []);
  const before = table.find("b.test")?.context;
  assert.equal(table.find("a.test")?.certificate.chain, old.chain);
  table.change([renewed], [certificateKey(old)]);
  const { certificate } = table.find("A.test") ?? {};
  assert.deepEqual([certificate?.chain, certificate?.key], [renewed.chain, renewed.key]);
  assert.equal(table.find("b.test")?.context, before);
  table.change([], [certificateKey(other)]);
  assert.equal(table.find("b.test"), undefined);
  table.configure(TLS_POLICIES.intermediate, KEYS);
  assert.equal(table.find("a.test")?.certificate.chain, renewed.chain);
});

void test("a certificate that is sent again gets a new context", async () => {
  const [one] = (await makeCertificates(["a.test"])) as [TlsCertificate];
  const table = new CertificateTable(TLS_POLICIES.modern, KEYS);
  table.change([one], []);
  const before = table.find("a.test")?.context;
  table.change([one], []);
  assert.notEqual(table.find("a.test")?.context, before);
});

void test("a client without a server name gets the certificate of an address while there is one", async () => {
  const [address] = (await makeCertificates(["127.0.0.1"])) as [TlsCertificate];
  const table = new CertificateTable(TLS_POLICIES.modern, KEYS);
  const nothing = table.unnamed;
  table.change([address], []);
  assert.equal(table.unnamed, table.find("127.0.0.1")?.context);
  table.change([], [certificateKey(address)]);
  assert.notEqual(table.unnamed, nothing);
  assert.equal(table.find("127.0.0.1"), undefined);
});

void test("a worker is told the difference, in messages of a bounded size", async () => {
  const [made] = (await makeCertificates(["a.test"])) as [TlsCertificate];
  const many = Array.from({ length: 600 }, (_, index) => ({ ...made, names: [`${index}.test`] }));
  const all = keyed(many);
  const changes = certificateChanges(new Set(["gone"]), all);
  assert.deepEqual(
    changes.map(({ added, removed }) => [added.length, removed]),
    [
      [250, ["gone"]],
      [250, []],
      [100, []],
    ],
  );
  assert.deepEqual(certificateChanges(new Set(all.keys()), all), []);
  assert.deepEqual(certificateChanges(new Set(all.keys()), keyed(many.slice(1))), [
    { added: [], removed: [certificateKey(many[0] as TlsCertificate)] },
  ]);
});
