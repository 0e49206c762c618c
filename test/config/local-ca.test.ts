import assert from "node:assert/strict";
import { hostname } from "node:os";
import { after, test } from "node:test";
import { configurationFolder, loadText } from "./load-text.ts";

const { folder, remove } = configurationFolder();
after(remove);

const SITE = "sites: [{ names: [a.example], upstream: unix:/run/app.sock }]\n";

void test("the embedded CA is no ACME server unless it is asked for", () => {
  for (const text of ["", "localCA: {}\n", "localCA: { acme: false }\n"])
    assert.equal(loadText(folder, SITE + text).localCa.acme, null, text);
});

void test("localCA: { acme: true } serves local names to private networks", () => {
  const { acme } = loadText(folder, `${SITE}localCA: { acme: true }`).localCa;
  assert.deepEqual(acme?.listen, { host: "::", port: 8555 });
  assert.deepEqual(acme.names, ["*.internal", "*.test", "*.home.arpa"]);
  assert.equal(acme.httpPort, 80);
  for (const host of [hostname().toLowerCase(), "localhost", "127.0.0.1", "::1"])
    assert.ok(acme.hosts.includes(host), host);
  assert.ok(acme.clients.every(({ prefix }) => prefix > 0));
  assert.deepEqual(loadText(folder, `${SITE}localCA: { acme: {} }`).localCa.acme, acme);
});

void test("each key of localCA.acme is taken, names in their one spelling", () => {
  const text = `${SITE}localCA:
  acme: { listen: "127.0.0.1:9000", hosts: [CA.internal, "[FD00::1]"], names: [Bücher.example, 10.0.0.5], clients: [10.0.0.0/8], httpPort: 8080 }`;
  assert.deepEqual(loadText(folder, text).localCa.acme, {
    listen: { host: "127.0.0.1", port: 9000 },
    hosts: ["ca.internal", "fd00::1"],
    names: ["xn--bcher-kva.example", "10.0.0.5"],
    clients: [{ address: "10.0.0.0", prefix: 8, family: "ipv4" }],
    httpPort: 8080,
  });
});

void test("PADDOCK_LOCAL_CA holds the section", () => {
  const { acme } = loadText(folder, SITE, { PADDOCK_LOCAL_CA: "{ acme: true }" }).localCa;
  assert.deepEqual(acme?.listen, { host: "::", port: 8555 });
});
