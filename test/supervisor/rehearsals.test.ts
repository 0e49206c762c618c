/** What the supervisor adds to rehearsals: when circumstances are others, and how the operator reads of a failure. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { NO_TROUBLE } from "../../src/certificates/episode.ts";
import { circumstancesOf } from "../../src/supervisor/circumstances.ts";
import { messageOf } from "../../src/supervisor/notify/message.ts";
import { configurationFolder, loadText } from "../config/load-text.ts";

const { folder, remove } = configurationFolder();
after(remove);

const SITE = "sites: [{ names: [a.example], upstream: 'http://127.0.0.1:1' }]\n";
const digestOf = (text: string): string => circumstancesOf(loadText(folder, text));

void test("other challenges, listeners and issuers are other circumstances", () => {
  const usual = digestOf(SITE);
  for (const change of [
    "challenges: [tls-alpn-01]",
    'listen: { http: ["127.0.0.1:80"] }',
    "listen: { proxyProtocol: [10.0.0.0/8] }",
    "issuers: [{ acme: zerossl, eab: { keyId: k, hmacKey: c2VjcmV0 } }]",
    "issuers: [{ acme: letsencrypt, staging: false }]",
    "issuers: [{ acme: letsencrypt, profile: shortlived }]",
  ])
    assert.notEqual(digestOf(`${SITE}${change}\n`), usual, change);
});

void test("other sites, logs and limits are not, nor is the key of an account binding, which stays off the disk", () => {
  const usual = digestOf(SITE);
  assert.equal(digestOf(`${SITE}log: { level: debug }\nlimits: { connectionsPerAddress: 9 }\n`), usual);
  assert.equal(digestOf(SITE.replace("a.example", "b.example")), usual);
  const withKey = (hmacKey: string): string =>
    digestOf(`${SITE}issuers: [{ acme: zerossl, eab: { keyId: k, hmacKey: ${hmacKey} } }]\n`);
  assert.equal(withKey("c2VjcmV0"), withKey("b3RoZXI"));
});

void test("the operator reads that the next order would fail, why, and what to do, and later that it is over", () => {
  const context = { host: "gate", now: Date.UTC(2026, 2, 1), statusOf: () => null };
  const error = "shop.example.org, http-01: Timeout. Open port 80 in the firewall.";
  const notice = (reason: "rehearsal-failed" | "rehearsal-recovered") => ({
    reason,
    at: context.now,
    names: ["shop.example.org"],
    episode: {
      ...NO_TROUBLE,
      rehearsal: reason === "rehearsal-failed" ? { since: context.now, error } : null,
    },
    sent: [],
    begin: async () => undefined,
    took: () => undefined,
  });
  const failed = messageOf([notice("rehearsal-failed")], context);
  assert.equal(failed.event, "rehearsal-failed");
  assert.match(failed.subject, /the next order for shop\.example\.org would fail: a rehearsal of it did/);
  assert.match(failed.text, /What is wrong: .*Open port 80 in the firewall\./);
  assert.match(failed.text, /What happened: paddock certs show shop\.example\.org/);
  const over = messageOf([notice("rehearsal-recovered")], context);
  assert.match(over.subject, /the rehearsal of an order for shop\.example\.org passes again/);
  assert.doesNotMatch(over.text, /What is wrong|What happened/);
});
