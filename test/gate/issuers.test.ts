/** The real daemon with CAs that fail, fall back, revoke, and change their accounts' keys. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FaultyCa, problem } from "../parts/faulty-ca.ts";
import { freePorts, startPebble, type Pebble } from "../parts/pebble.ts";
import { Paddock } from "../parts/paddock.ts";

const HOST = "one.example.org";
const MAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
const DAY = 86_400_000;

interface Shown {
  readonly state: string;
  readonly issuer: string;
  readonly nextAttempt: number;
  readonly lastError: { readonly message: string; readonly at: number } | null;
}

async function shown(paddock: Paddock): Promise<Shown> {
  const { code, stdout } = await paddock.command("certs", "list", "--json");
  assert.equal(code, 0);
  const [certificate] = JSON.parse(stdout) as Shown[];
  assert.ok(certificate);
  return certificate;
}

function documents<T>(paddock: Paddock, part: string): T[] {
  const root = join(paddock.folder, "store", part);
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(root, name), "utf8")) as T);
}

describe("two CAs in order, the second by external account binding", () => {
  let first: Pebble;
  let second: Pebble;
  let faulty: FaultyCa;
  let paddock: Paddock;

  before(async () => {
    const [httpPort] = (await freePorts(1)) as [number];
    first = await startPebble({ httpPort, nonceReject: 0 });
    second = await startPebble({ httpPort, nonceReject: 0, externalAccounts: { "kid-1": MAC_KEY } });
    faulty = await FaultyCa.start(first);
    faulty.fail("newOrder", () => problem(429, "rateLimited", { "retry-after": "86400" }));
    paddock = await Paddock.start({
      httpPort,
      workers: 1,
      yaml: () => `issuers:
  - { acme: "${faulty.directoryUrl}", trustedRoots: "${faulty.trustedRootsPath}", profile: tlsserver }
  - acme: "${faulty.directoryUrl}"
    trustedRoots: "${faulty.trustedRootsPath}"
  - acme: "${second.directoryUrl}"
    trustedRoots: "${second.trustedRootsPath}"
    eab: { keyId: kid-1, hmacKey: ${MAC_KEY} }
sites: [{ names: [${HOST}], upstream: "http://127.0.0.1:1" }]`,
    });
  });

  after(async () => {
    await paddock.stop();
    await faulty[Symbol.asyncDispose]();
    await first.stop();
    await second.stop();
  });

  test("the second one issues while the first one refuses", async () => {
    await paddock.until("the certificate", async () => (await shown(paddock)).state === "valid");
    assert.equal((await shown(paddock)).issuer, second.directoryUrl);
    assert.equal(faulty.count("newOrder"), 1, "one refusal is enough");
  });

  test("a profile that the directory does not offer is in the log from the start, with what it offers", () => {
    assert.match(
      paddock.output,
      /"level":"error".*nothing can be ordered from .* has no profile \\"tlsserver\\"; it offers none. Remove `profile` of this issuer/,
    );
  });
});

describe("one CA", () => {
  let pebble: Pebble;
  let ca: FaultyCa;
  let paddock: Paddock;

  before(async () => {
    pebble = await startPebble({ nonceReject: 0, authzReuse: 100 });
    ca = await FaultyCa.start(pebble);
    ca.fail("newOrder", () => problem(429, "rateLimited", { "retry-after": "86400" }));
    paddock = await Paddock.start({
      httpPort: pebble.httpPort,
      workers: 1,
      yaml: () => `issuers: [{ acme: "${ca.directoryUrl}", trustedRoots: "${ca.trustedRootsPath}" }]
sites: [{ names: [${HOST}], upstream: "http://127.0.0.1:1" }]`,
    });
  });

  after(async () => {
    await paddock.stop();
    await ca[Symbol.asyncDispose]();
    await pebble.stop();
  });

  test("that asks for a day gets it, by the schedule: the daemon answers meanwhile, and may be told otherwise", async () => {
    await paddock.until("the refusal", async () => (await shown(paddock)).state === "failing");
    const { nextAttempt, lastError } = await shown(paddock);
    assert.ok(lastError);
    assert.ok(nextAttempt - lastError.at >= DAY);
    assert.match(lastError.message, /rateLimited/);
    assert.equal(ca.count("newOrder"), 1);
    ca.fail("newOrder", null);
    const { code, stderr } = await paddock.command("certs", "renew", HOST);
    assert.equal(code, 1);
    assert.match(stderr, /is not asked before .*: the CA asked to wait so long .*--force/s);
    assert.equal((await shown(paddock)).nextAttempt, nextAttempt, "the schedule is as before");
    assert.equal(ca.count("newOrder"), 1);
    assert.equal((await paddock.command("certs", "renew", HOST, "--force")).code, 0);
    assert.equal((await shown(paddock)).state, "valid");
  });

  test("gives the account another key by `certs account rollover`, and goes on with it", async () => {
    const [before] = documents<{ url: string; privateJwk: object }>(paddock, "accounts");
    const { code, stdout } = await paddock.command("certs", "account", "rollover", ca.directoryUrl);
    assert.equal(code, 0);
    assert.match(stdout, /has a new key/);
    const [changed] = documents<{ url: string; privateJwk: object }>(paddock, "accounts");
    assert.equal(changed?.url, before?.url);
    assert.notDeepEqual(changed?.privateJwk, before?.privateJwk);
    const accounts = ca.count("newAccount");
    assert.equal((await paddock.command("certs", "renew", HOST)).code, 0);
    assert.equal(ca.count("newAccount"), accounts);
  });

  test("revokes by `certs revoke`, with a reason, and another certificate with another key is served", async () => {
    const [old] = documents<{ key: string; chain: string }>(paddock, "certificates");
    const answer = await paddock.command("certs", "revoke", HOST, "--reason", "keyCompromise");
    assert.deepEqual([answer.code, answer.stderr], [0, ""]);
    const asked = ca.requests.findLast(({ step }) => step === "revokeCert");
    assert.equal(asked?.payload?.["reason"], 1);
    const [fresh] = documents<{ key: string; chain: string }>(paddock, "certificates");
    assert.notEqual(fresh?.key, old?.key);
    assert.notEqual(fresh?.chain, old?.chain);
    assert.equal(documents(paddock, "revoked").length, 1);
    assert.match(paddock.output, /is revoked, for keyCompromise/);
  });

  test("ends the account by `certs account deactivate`; the next order makes another", async () => {
    const answer = await paddock.command("certs", "account", "deactivate", ca.directoryUrl);
    assert.equal(answer.code, 0);
    assert.deepEqual(documents(paddock, "accounts"), []);
    const again = await paddock.command("certs", "account", "deactivate", ca.directoryUrl);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /there is no account at/);
    const accounts = ca.count("newAccount");
    assert.equal((await paddock.command("certs", "renew", HOST)).code, 0);
    assert.equal(ca.count("newAccount"), accounts + 1);
  });

  test("wrong usage is 2, and what cannot be done is 1, with a sentence", async () => {
    const cases: readonly (readonly [number, RegExp, ...string[]])[] = [
      [2, /no name is given/, "revoke"],
      [
        2,
        /"stolen" is no reason; it is one of unspecified, keyCompromise/,
        "revoke",
        HOST,
        "--reason",
        "stolen",
      ],
      [2, /certs account can rollover, deactivate/, "account", "remove", "x"],
      [2, /no issuer is given/, "account", "rollover"],
      [1, /no site has the name other\.example\.org/, "revoke", "other.example.org"],
      [1, /no issuer with an account is named local/, "account", "rollover", "local"],
    ];
    for (const [code, sentence, ...args] of cases) {
      const answer = await paddock.command("certs", ...args);
      assert.equal(answer.code, code, args.join(" "));
      assert.match(answer.stderr, sentence);
    }
  });
});

describe("a CA whose renewal window has moved to the past", () => {
  let pebble: Pebble;
  let ca: FaultyCa;
  let paddock: Paddock;

  before(async () => {
    pebble = await startPebble({ nonceReject: 0, authzReuse: 100, certificateValidity: 100 });
    ca = await FaultyCa.start(pebble);
    ca.suggest(
      { start: new Date(Date.now() - 2 * DAY), end: new Date(Date.now() - DAY) },
      "https://ca.example/why",
    );
    paddock = await Paddock.start({
      httpPort: pebble.httpPort,
      workers: 1,
      yaml: () => `issuers: [{ acme: "${ca.directoryUrl}", trustedRoots: "${ca.trustedRootsPath}" }]
sites: [{ names: [${HOST}], upstream: "http://127.0.0.1:1" }]`,
    });
  });

  after(async () => {
    await paddock.stop();
    await ca[Symbol.asyncDispose]();
    await pebble.stop();
  });

  test("gets a renewal that names its predecessor, and one without where that is replaced already", async () => {
    const orders = () => ca.requests.filter(({ step }) => step === "newOrder").map(({ payload }) => payload);
    await paddock.until("the renewal", () => orders().length >= 2);
    const [made, renewed] = orders();
    assert.equal(made?.["replaces"], undefined);
    assert.match(String(renewed?.["replaces"]), /^[\w-]+\.[\w-]+$/);
    assert.match(
      paddock.output,
      /has a wish when to renew one\.example\.org, .*; why: https:\/\/ca\.example\/why/,
    );
    await paddock.until("the certificate", async () => (await shown(paddock)).state === "valid");
    ca.fail("newOrder", ({ payload }) =>
      payload?.["replaces"] === undefined ? null : problem(409, "alreadyReplaced"),
    );
    assert.equal((await paddock.command("certs", "renew", HOST)).code, 0);
    assert.equal(orders().at(-1)?.["replaces"], undefined);
    assert.notEqual(orders().at(-2)?.["replaces"], undefined);
  });
});
