/** The certificate of tls-alpn-01, judged by openssl. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { challengeCertificate } from "../../src/tls/challenge-certificate.ts";
import { reverseName } from "../../src/tls/reverse-name.ts";

const AUTHORIZATION =
  "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

const run = promisify(execFile);

async function openssl(input: string, ...argv: string[]): Promise<string> {
  const running = run("openssl", argv, { timeout: 10_000 });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

void describe("the challenge certificate of RFC 8737", () => {
  void it("has the digest of the key authorization in a critical acmeIdentifier, and nothing but the name", async () => {
    const { chain, key, names } = await challengeCertificate("Www.Example.org", AUTHORIZATION, Date.now());
    assert.deepEqual(names, ["www.example.org"]);
    const digest = createHash("sha256").update(AUTHORIZATION).digest("hex").toUpperCase();
    const lines = (await openssl(chain, "asn1parse")).split("\n");
    const at = lines.findIndex((line) => line.includes("OBJECT") && line.includes("1.3.6.1.5.5.7.1.31"));
    assert.ok(at > 0, "openssl finds the extension's object identifier");
    assert.match(lines[at + 1] ?? "", /BOOLEAN\s+:255$/, "critical");
    assert.match(lines[at + 2] ?? "", new RegExp(`OCTET STRING\\s+\\[HEX DUMP\\]:0420${digest}$`));
    const text = await openssl(chain, "x509", "-noout", "-text");
    assert.equal(text.match(/X509v3 Subject Alternative Name/g)?.length, 1);
    const read = new X509Certificate(chain);
    assert.equal(read.subjectAltName?.toLowerCase(), "dns:www.example.org");
    assert.ok(read.verify(read.publicKey), "signed by itself");
    assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
    assert.ok(Date.parse(read.validFrom) < Date.now() && Date.parse(read.validTo) > Date.now());
  });

  void it("names an IP address as such, and is found under its reverse name (RFC 8738)", async () => {
    const four = await challengeCertificate("192.0.2.7", AUTHORIZATION, Date.now());
    assert.equal(new X509Certificate(four.chain).subjectAltName, "IP Address:192.0.2.7");
    assert.deepEqual(four.names, ["7.2.0.192.in-addr.arpa"]);
    const six = await challengeCertificate("2001:db8::7", AUTHORIZATION, Date.now());
    assert.equal(new X509Certificate(six.chain).subjectAltName, "IP Address:2001:DB8:0:0:0:0:0:7");
    const digits = `7.0.0.0.${"0.0.0.0.".repeat(5)}8.b.d.0.1.0.0.2`;
    assert.deepEqual(six.names, [`${digits}.ip6.arpa`]);
  });

  void it("has another key for each challenge", async () => {
    const [one, two] = await Promise.all([
      challengeCertificate("a.example", AUTHORIZATION, Date.now()),
      challengeCertificate("a.example", AUTHORIZATION, Date.now()),
    ]);
    assert.notEqual(one.key, two.key);
    assert.notEqual(one.fingerprint, two.fingerprint);
  });
});

void describe("reverse names", () => {
  // RFC 8738 section 6 and RFC 3596 section 2.5 have these.
  const cases: readonly (readonly [string, string])[] = [
    ["127.0.0.1", "1.0.0.127.in-addr.arpa"],
    ["4321:0:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa"],
    ["::1", `1.${"0.".repeat(31)}ip6.arpa`],
    ["::", `${"0.".repeat(32)}ip6.arpa`],
    ["::ffff:192.0.2.1", `1.0.2.0.0.0.0.c.f.f.f.f.${"0.".repeat(20)}ip6.arpa`],
  ];
  for (const [address, name] of cases)
    void it(`finds ${address}`, () => {
      assert.equal(reverseName(address), name);
    });
});
