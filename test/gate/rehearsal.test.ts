/** The real daemon, a CA and its staging directory: `certs rehearse`, and what becomes of a site that is broken. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FaultyCa, problem } from "../parts/faulty-ca.ts";
import { freePorts, startPebble, type Pebble } from "../parts/pebble.ts";
import { Paddock } from "../parts/paddock.ts";

const MAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
const NAMES = ["shop.example.org", "www.shop.example.org"];

interface Outcome {
  readonly names: readonly string[];
  readonly verdict: string;
  readonly issuer: string | null;
  readonly error: string | null;
  readonly proofs: readonly { name: string; challenge: string | null; proven: boolean }[];
}

async function statusOf(paddock: Paddock, name: string) {
  const { certificates } = JSON.parse((await paddock.command("status", "--json")).stdout) as {
    certificates: {
      name: string;
      state: string;
      fingerprint: string | null;
      lastError: { message: string } | null;
      journal: { entries: { kind: string; issuer?: string; outcome?: string; occasion?: string }[] };
    }[];
  };
  const certificate = certificates.find((one) => one.name === name);
  assert.ok(certificate);
  return certificate;
}

async function metrics(paddock: Paddock): Promise<string> {
  return (await paddock.plain(paddock.adminPort, "/metrics")).body.toString();
}

/** Two Pebbles that both come to the daemon's port 80. */
async function twoCas(options: Parameters<typeof startPebble>[0] = {}) {
  const [httpPort] = (await freePorts(1)) as [number];
  const pebbles = [
    await startPebble({ httpPort, nonceReject: 0 }),
    await startPebble({ httpPort, nonceReject: 0, ...options }),
  ] as const;
  const [production, staging] = [await FaultyCa.start(pebbles[0]), await FaultyCa.start(pebbles[1])];
  const stop = async (): Promise<void> => {
    await production[Symbol.asyncDispose]();
    await staging[Symbol.asyncDispose]();
    await Promise.all(pebbles.map((pebble: Pebble) => pebble.stop()));
  };
  return { httpPort, production, staging, pebbles, stop };
}

type Cas = Awaited<ReturnType<typeof twoCas>>;

/** Both test CAs' roots in one file, since `trustedRoots` of an issuer is for its staging directory, too. */
const rootsOf = (folder: string): string => join(folder, "roots.pem");

async function startPaddock(cas: Cas, more: { staging: string; sites: string }): Promise<Paddock> {
  const { httpPort, production, staging } = cas;
  return await Paddock.start({
    httpPort,
    workers: 1,
    yaml: (folder) => {
      writeFileSync(rootsOf(folder), production.trustedRoots + staging.trustedRoots);
      return `issuers: [{ acme: "${production.directoryUrl}", trustedRoots: ${rootsOf(folder)}, staging: ${more.staging} }]
challenges: [http-01]
sites:
${more.sites}`;
    },
  });
}

const site = (names: readonly string[], more = ""): string =>
  `  - { names: [${names.join(", ")}], upstream: "http://127.0.0.1:1"${more} }\n`;

describe("a rehearsal by hand", () => {
  let cas: Cas;
  let paddock: Paddock;

  before(async () => {
    // Staging reuses what it can, and wants an account binding of its own.
    cas = await twoCas({ authzReuse: 100, externalAccounts: { "kid-1": MAC_KEY } });
    paddock = await startPaddock(cas, {
      staging: `{ acme: "${cas.staging.directoryUrl}", eab: { keyId: kid-1, hmacKey: ${MAC_KEY} } }`,
      sites: site(NAMES) + site(["api.example.org"]) + site(["intranet.test"]),
    });
    for (const name of ["shop.example.org", "api.example.org"])
      await paddock.until("the certificates", async () => (await statusOf(paddock, name)).state === "valid");
  });
  after(async () => {
    await paddock.stop();
    await cas.stop();
  });

  test("of all goes the whole way at the staging directory, and changes nothing", async () => {
    const before = await statusOf(paddock, "shop.example.org");
    const orders = cas.production.requests.length;
    const { code, stdout, stderr } = await paddock.command("certs", "rehearse", "--at-once", "2");
    assert.deepEqual([code, stderr], [0, ""], stdout);
    const url = cas.staging.directoryUrl;
    assert.ok(stdout.includes(`shop.example.org, www.shop.example.org: passed at ${url}`), stdout);
    assert.match(stdout, /www\.shop\.example\.org proven by http-01/);
    assert.match(stdout, /\[\d\/3\] intranet\.test: nothing to rehearse, since the embedded CA issues/);
    assert.match(stdout, /3 certificates: 2 passed, 1 nothing to rehearse\n$/);
    assert.equal(cas.production.requests.length, orders, "production heard of nothing");
    for (const step of ["newAccount", "newOrder", "finalize", "certificate"] as const)
      assert.ok(cas.staging.count(step) > 0, step);
    const after = await statusOf(paddock, "shop.example.org");
    assert.equal(after.fingerprint, before.fingerprint);
    const store = join(paddock.folder, "store");
    assert.equal(readdirSync(join(store, "certificates")).filter((name) => name !== "local").length, 1);
    assert.equal(readdirSync(join(store, "accounts")).length, 2);
    assert.ok(!existsSync(join(store, "orders")) || readdirSync(join(store, "orders")).length === 1);
    const text = await metrics(paddock);
    assert.match(text, /paddock_certificate_rehearsal_success\{name="www\.shop\.example\.org"\} 1/);
    assert.match(text, /paddock_certificate_rehearsal_timestamp_seconds\{name="api\.example\.org"\} \d+/);
    assert.doesNotMatch(text, /paddock_certificate_rehearsal_success\{name="intranet\.test"\}/);
    assert.ok(
      text.includes(
        `paddock_certificate_attempts_total{name="shop.example.org",issuer="${url}",outcome="success"} 1`,
      ),
    );
  });

  test("of one proves its names anew each time, whatever the staging directory remembers", async () => {
    for (const time of [1, 2]) {
      const before = cas.staging.count("challenge");
      const { code, stdout } = await paddock.command("certs", "rehearse", "www.shop.example.org", "--json");
      assert.equal(code, 0);
      const [outcome] = JSON.parse(stdout) as Outcome[];
      assert.deepEqual(
        [outcome?.verdict, outcome?.names, outcome?.proofs.map(({ challenge }) => challenge)],
        ["passed", NAMES, ["http-01", "http-01"]],
        `time ${time}`,
      );
      assert.equal(cas.staging.count("challenge") - before, 2);
    }
  });

  test("names what is wrong and what to do where an order would fail, and exits 1", async () => {
    await cas.pebbles[1].dns("add-a", { host: "www.shop.example.org.", addresses: ["127.0.0.2"] });
    try {
      const { code, stdout } = await paddock.command("certs", "rehearse", "shop.example.org");
      assert.equal(code, 1);
      assert.match(stdout, /^shop\.example\.org, www\.shop\.example\.org: FAILED at https/);
      assert.match(stdout, /www\.shop\.example\.org not proven by http-01\n/);
      assert.match(stdout.replaceAll(/\s+/g, " "), /127\.0\.0\.2.*open port 80 in the firewall/);
      assert.match(
        paddock.output,
        /"level":"warn".*the rehearsal at .* failed: .*the next order, at .* would fail in the same way/,
      );
      assert.match(await metrics(paddock), /rehearsal_success\{name="shop\.example\.org"\} 0/);
      const { stdout: list } = await paddock.command("certs", "list");
      assert.match(list, /rehearsal at https\S+ failed/);
      const { state, journal } = await statusOf(paddock, "shop.example.org");
      assert.equal(state, "valid");
      assert.equal(journal.entries.filter(({ kind }) => kind === "rehearsal").at(-1)?.outcome, "failed");
    } finally {
      await cas.pebbles[1].dns("clear-a", { host: "www.shop.example.org." });
    }
  });

  test("says that a staging directory which is away proves nothing, and goes on with the others", async () => {
    cas.staging.fail("newOrder", ({ payload }) =>
      JSON.stringify(payload).includes("api.example.org") ? problem(503, "serverInternal") : null,
    );
    try {
      const { code, stdout, stderr } = await paddock.command("certs", "rehearse", "--json");
      assert.equal(code, 1);
      const outcomes = JSON.parse(stdout) as Outcome[];
      assert.deepEqual(
        outcomes.map(({ names, verdict }) => [names[0], verdict]),
        [
          ["shop.example.org", "passed"],
          ["api.example.org", "unavailable"],
          ["intranet.test", "nothing"],
        ],
      );
      assert.match(stderr, /^\[1\/3\] shop/, "progress");
    } finally {
      cas.staging.fail("newOrder", null);
    }
  });

  test("wrong usage is 2, an unknown name 1", async () => {
    for (const [code, sentence, ...args] of [
      [2, /--at-once is a number from 1 to 4/, "--at-once", "9"],
      [2, /--at-once is a number from 1 to 4/, "--at-once", "x"],
      [1, /no site has the name other\.example\.org/, "other.example.org"],
    ] as const) {
      const answer = await paddock.command("certs", "rehearse", ...args);
      assert.equal(answer.code, code, args.join(" "));
      assert.match(answer.stdout + answer.stderr, sentence);
    }
  });
});

describe("a site that is broken from the start", () => {
  let cas: Cas;
  let paddock: Paddock;

  before(async () => {
    cas = await twoCas();
    for (const pebble of cas.pebbles)
      await pebble.dns("add-a", { host: "shop.example.org.", addresses: ["127.0.0.2"] });
    paddock = await startPaddock(cas, {
      staging: `"${cas.staging.directoryUrl}"`,
      sites: site(["shop.example.org"]),
    });
  });
  after(async () => {
    await paddock.stop();
    await cas.stop();
  });

  test("asks production once, then the staging directory, and over a restart no other", async () => {
    await paddock.until(
      "the failure",
      async () => (await statusOf(paddock, "shop.example.org")).state === "failing",
    );
    assert.equal(cas.production.count("newOrder"), 1);
    assert.equal(cas.staging.count("newOrder"), 0);
    await paddock.stop({ keepFolder: true });
    paddock = await Paddock.start({
      httpPort: cas.httpPort,
      workers: 1,
      folder: paddock.folder,
      yaml: (folder) => readFileSync(join(folder, "paddock.yaml"), "utf8").split("\n").slice(4).join("\n"),
    });
    await paddock.until("the rehearsal", async () => cas.staging.count("newOrder") === 1);
    await paddock.until(
      "its failure",
      async () => (await statusOf(paddock, "shop.example.org")).state === "failing",
    );
    assert.equal(cas.production.count("newOrder"), 1);
    const { lastError } = await statusOf(paddock, "shop.example.org");
    assert.match(
      lastError?.message ?? "",
      /: the rehearsal at https\S+ failed: shop\.example\.org, http-01: /,
    );
  });

  test("is ordered straight at the CA by `certs renew`", async () => {
    const { code } = await paddock.command("certs", "renew", "shop.example.org");
    assert.equal(code, 1);
    assert.equal(cas.production.count("newOrder"), 2);
    assert.equal(cas.staging.count("newOrder"), 1);
  });

  test("gets its certificate in the attempt that follows its mending: staging passes, then production", async () => {
    for (const pebble of cas.pebbles) await pebble.dns("clear-a", { host: "shop.example.org." });
    // A restart is the next attempt.
    await paddock.stop({ keepFolder: true });
    paddock = await Paddock.start({
      httpPort: cas.httpPort,
      workers: 1,
      folder: paddock.folder,
      yaml: (folder) => readFileSync(join(folder, "paddock.yaml"), "utf8").split("\n").slice(4).join("\n"),
    });
    await paddock.until(
      "the certificate",
      async () => (await statusOf(paddock, "shop.example.org")).state === "valid",
    );
    assert.equal(cas.staging.count("newOrder"), 2);
    assert.equal(cas.production.count("newOrder"), 3);
    const { journal } = await statusOf(paddock, "shop.example.org");
    assert.deepEqual(
      journal.entries
        .filter(({ kind }) => ["rehearsal", "order-finished"].includes(kind))
        .map(({ kind }) => kind),
      ["rehearsal", "rehearsal", "order-finished"],
    );
  });
});

describe("a CA without a staging directory", () => {
  test("is said, with what to configure, and exits 1", async () => {
    const cas = await twoCas();
    const paddock = await startPaddock(cas, { staging: "false", sites: site(["shop.example.org"]) });
    try {
      const { code, stdout } = await paddock.command("certs", "rehearse", "shop.example.org");
      assert.equal(code, 1);
      assert.match(
        stdout.replaceAll(/\s+/g, " "),
        /not rehearsed no staging directory of https\S+ is known; Set `staging` of the issuer/,
      );
    } finally {
      await paddock.stop();
      await cas.stop();
    }
  });
});
