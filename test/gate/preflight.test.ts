/** The whole daemon, Pebble and pebble-challtestsrv: what is seen before the first order, and what of it stops it. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { TestHook } from "../parts/dns-hook.ts";
import { FaultyCa } from "../parts/faulty-ca.ts";
import { Paddock } from "../parts/paddock.ts";
import { startPebble } from "../parts/pebble.ts";

interface Shown {
  readonly state: string;
  readonly warnings: readonly string[];
  readonly lastError: { readonly message: string } | null;
}

test("CAA that forbids stops the order with the record to add; a port that is shut is said, and the order goes on", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "paddock-preflight-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const pebble = await startPebble({ nonceReject: 0 });
  t.after(() => pebble.stop());
  await using ca = await FaultyCa.start(pebble);
  ca.describe({ meta: { caaIdentities: ["pebble.example"] } });
  await pebble.dns("add-caa", {
    host: "caa.example.org.",
    policies: [{ tag: "issue", value: "other.example" }],
  });
  const hook = await TestHook.write(folder, pebble);
  const paddock = await Paddock.start({
    workers: 1,
    httpPort: pebble.httpPort,
    httpsPort: pebble.tlsPort,
    // Only where the resolvers are named is a CA on loopback looked at from here: it has a DNS of its own.
    yaml: () => `issuers: [{ acme: "${ca.directoryUrl}", trustedRoots: ${ca.trustedRootsPath} }]
challenges: [http-01, tls-alpn-01, dns-01]
dns: { hook: ${hook.program}, resolvers: ["${pebble.dnsAddress}"] }
sites: [{ names: [www.caa.example.org], static: { /static/: . } }]`,
  });
  t.after(() => paddock.stop());
  const shown = async (): Promise<Shown> => {
    const { stdout } = await paddock.command("certs", "list", "--json");
    return (JSON.parse(stdout) as Shown[])[0] as Shown;
  };

  await paddock.until("the refusal", async () => (await shown()).state === "failing");
  assert.match(
    (await shown()).lastError?.message ?? "",
    /www\.caa\.example\.org: the CAA record of caa\.example\.org allows issue "other\.example" only, and this CA is pebble\.example\. Add `caa\.example\.org\. CAA 0 issue "pebble\.example"`/,
  );
  assert.equal(ca.count("newOrder"), 0);

  await pebble.dns("clear-caa", { host: "caa.example.org." });
  const { code, stderr } = await paddock.command("certs", "renew", "www.caa.example.org");
  assert.equal(code, 0, stderr);
  assert.equal((await shown()).state, "valid");
  // Pebble looks at other ports than a public CA does, so 80 and 443 of this machine have nobody there, or a stranger.
  const { stdout } = await paddock.command("certs", "show", "www.caa.example.org");
  for (const port of [80, 443])
    assert.match(
      stdout.replaceAll(/\s+/g, " "),
      new RegExp(`www\\.caa\\.example\\.org, A 127\\.0\\.0\\.1, port ${port}: `),
    );
  assert.match(paddock.output, /"level":"warn".*before the order at/);
});
