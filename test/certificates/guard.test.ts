/** What the guard lets begin, and when it lets come again what it does not. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { AcmeProblem } from "../../src/acme/problem.ts";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import type { WantedCertificate } from "../../src/certificates/plan.ts";
import { PaddockError } from "../../src/errors.ts";
import { moment } from "../../src/certificates/sentences.ts";
import { DAY, HOUR, MINUTE, setup, type FakeIssuer, type Setup } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";
const ZEROSSL = "https://acme.zerossl.com/v2/DV90";
/** The storage of these tests lasts, whatever file system the machine has for temporary files. */
const kept = { storageDoubt: async () => null };

const want = (names: string[], ...issuers: FakeIssuer[]): WantedCertificate => ({
  names,
  choice: { kind: "auto" },
  issuers,
});
const go = (manager: CertificateManager, clock: HeldClock, delay: number): Promise<void> =>
  clock.advance(delay, () => manager.settled());

const rateLimited = (detail: string, retryAfter: number | null, status = 429): AcmeProblem =>
  new AcmeProblem({
    type: "urn:ietf:params:acme:error:rateLimited",
    detail,
    status,
    subproblems: [],
    retryAfter,
  });

/** The CA takes the order, and then does what it is told. */
const taking =
  (then: FakeIssuer["behave"] = async () => {}): FakeIssuer["behave"] =>
  async (request) => {
    request.observe?.({ kind: "order-created", url: "https://ca.example/order/1" });
    await then(request);
  };

const refusing = taking(async ({ names, observe }) => {
  const [name = ""] = names;
  const error = new AcmeProblem({
    type: "urn:ietf:params:acme:error:connection",
    detail: "connection refused",
    status: null,
    subproblems: [],
    retryAfter: null,
  });
  observe?.({ kind: "challenge", name, challenge: "http-01", outcome: "failed", error });
  throw error;
});

async function withCa(
  test: (on: Setup, manager: CertificateManager) => Promise<void>,
  { directory = LETSENCRYPT, behave = taking() } = {},
): Promise<void> {
  await using on = await setup(new HeldClock(Date.UTC(2026, 10, 25)), { guard: kept });
  on.issuer.directory = directory;
  on.issuer.behave = behave;
  await test(on, await on.open());
}

const firstStatus = (manager: CertificateManager) => {
  const [status] = manager.status();
  assert.ok(status);
  return status;
};

void describe("certificates for exactly the same names", () => {
  void it("are five, then one each 33.6 hours: the sixth is refused with its moment, and comes then", async () => {
    await withCa(async (on, manager) => {
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      for (let more = 0; more < 4; more += 1) await manager.renewNow("example.org");
      const { nextAttempt } = firstStatus(manager);
      const next = moment(on.clock.now() + 33.6 * HOUR);
      await assert.rejects(manager.renewNow("example.org"), (error: Error & { fix?: string }) => {
        assert.equal(
          error.message,
          `first is not asked before ${next}: it gives 5 certificates for exactly these names in 7 days (one each 33.6 hours), and these are used up`,
        );
        assert.match(error.fix ?? "", /certs renew NAME --force/);
        return true;
      });
      const { state, nextAttempt: after, failures } = firstStatus(manager);
      assert.deepEqual([state, after, failures], ["valid", nextAttempt, 0], "nothing else has changed");
      assert.equal(on.issuer.requests.length, 5);
      await manager.renewNow("example.org", { force: true });
      assert.equal(on.issuer.requests.length, 6);
      // The one that was forced has used up what would have come back.
      await go(manager, on.clock, 33.6 * HOUR);
      await assert.rejects(manager.renewNow("example.org"), /not asked before/);
      await go(manager, on.clock, 33.6 * HOUR);
      await manager.renewNow("example.org");
    });
  });

  void it("that were lost are held back until the very moment, over a restart, with a sentence everywhere", async () => {
    await withCa(async (on, first) => {
      await first.configure([want(["example.org"], on.issuer)]);
      await go(first, on.clock, 0);
      for (let more = 0; more < 4; more += 1) await first.renewNow("example.org");
      await first.close();
      const stored = await readdir(join(on.storage, "certificates/first"));
      await writeFile(join(on.storage, "certificates/first", stored[0] ?? ""), "{");

      const second = await on.open();
      await second.configure([want(["example.org"], on.issuer)]);
      await go(second, on.clock, 0);
      assert.equal(on.issuer.requests.length, 5, "nobody was asked");
      const until = on.clock.now() + 33.6 * HOUR;
      const status = firstStatus(second);
      assert.deepEqual([status.state, status.nextAttempt, status.failures], ["failing", until, 0]);
      assert.match(status.waitingFor ?? "", /not asked before 2026-11-26T09:36:00Z/);
      assert.equal(status.nextReason, "the issuance guard holds it back until then");
      assert.match(
        on.log.text(),
        /no new certificate for example\.org from first: first is not asked before/,
      );
      const { entries, episode } = await second.journals.read(["example.org"]);
      const held = entries.find(({ kind }) => kind === "held-back");
      assert.equal(held?.kind === "held-back" && held.until, until);
      assert.equal(episode.failures, 0, "no failure, and nobody is told of one");

      await go(second, on.clock, 33.6 * HOUR - 1);
      assert.equal(on.issuer.requests.length, 5);
      await go(second, on.clock, 1);
      assert.equal(on.issuer.requests.length, 6);
      assert.equal(firstStatus(second).state, "valid");
    });
  });

  void it("are not counted where the CA wished the renewal, and are where it did not", async () => {
    await withCa(async (on, manager) => {
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      for (let more = 0; more < 4; more += 1) await manager.renewNow("example.org");
      const start = on.clock.now() + HOUR;
      on.issuer.window = async () => ({
        start,
        end: start + MINUTE,
        explanationUrl: null,
        retryAfter: 6 * HOUR,
      });
      await assert.rejects(manager.renewNow("example.org"), /not asked before/);
      await go(manager, on.clock, 0);
      await manager.renewNow("example.org");
      assert.equal(on.issuer.requests.length, 6);
      assert.notEqual(on.issuer.requests.at(-1)?.replaces, null);
    });
  });

  void it("are not counted for an order that the CA has taken already, before a crash", async () => {
    await withCa(async (on, manager) => {
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      for (let more = 0; more < 4; more += 1) await manager.renewNow("example.org");
      await assert.rejects(manager.renewNow("example.org"), /not asked before/);
      on.issuer.underWay = async () => true;
      await manager.renewNow("example.org");
      assert.equal(on.issuer.requests.length, 6);
    });
  });

  void it("go to the next CA in the list meanwhile", async () => {
    await withCa(async (on, manager) => {
      await manager.configure([want(["example.org"], on.issuer, on.second)]);
      await go(manager, on.clock, 0);
      for (let more = 0; more < 4; more += 1) await manager.renewNow("example.org");
      await manager.renewNow("example.org");
      assert.deepEqual([on.issuer.requests.length, on.second.requests.length], [5, 1]);
      assert.equal(firstStatus(manager).issuer, "second");
      assert.ok(!on.attempts.some(({ outcome }) => outcome === "failure"), "no attempt at the first one");
    });
  });

  void it("have no limit at a staging directory and at a CA of one's own", async () => {
    for (const directory of [
      "https://acme-staging-v02.api.letsencrypt.org/directory",
      "https://127.0.0.1:14000/dir",
    ])
      await withCa(
        async (on, manager) => {
          await manager.configure([want(["example.org"], on.issuer)]);
          await go(manager, on.clock, 0);
          for (let more = 0; more < 9; more += 1) await manager.renewNow("example.org");
          assert.equal(on.issuer.requests.length, 10);
        },
        { directory },
      );
  });
});

void describe("new certificates below one registered domain", () => {
  void it("are 50, then one each 3.4 hours, in turn; renewals do not count", async () => {
    await withCa(async (on, manager) => {
      const names = Array.from({ length: 52 }, (_, at) => `host-${at}.example.co.uk`);
      const others = ["example.org", "example2.co.uk"];
      await manager.configure([...names, ...others].map((name) => want([name], on.issuer)));
      await go(manager, on.clock, 0);
      const waiting = manager.status().filter(({ state }) => state === "failing");
      assert.equal(waiting.length, 2);
      assert.match(
        waiting[0]?.lastError?.message ?? "",
        /50 new certificates for names below example\.co\.uk in 7 days/,
      );
      const piece = (7 * DAY) / 50;
      assert.deepEqual(
        waiting.map(({ nextAttempt }) => (nextAttempt ?? 0) - on.clock.now()),
        [piece, 2 * piece],
        "each has a moment of its own",
      );
      assert.equal(on.issuer.requests.length, 52);
      await manager.renewNow("host-0.example.co.uk");
      await go(manager, on.clock, piece);
      assert.equal(on.issuer.requests.length, 54);
      await go(manager, on.clock, piece);
      assert.ok(manager.status().every(({ state }) => state === "valid"));
    });
  });
});

void describe("new orders of an account", () => {
  void it("beyond the limit are spread as the CA will take them, over a restart", async () => {
    const limitsOf = () => ({
      exactSet: null,
      registeredDomain: null,
      newOrders: { count: 3, window: 3 * MINUTE },
      failedAuthorizations: null,
    });
    await using on = await setup(new HeldClock(), { guard: { ...kept, limitsOf } });
    on.issuer.directory = LETSENCRYPT;
    on.issuer.behave = taking();
    const wanted = Array.from({ length: 8 }, (_, at) => want([`host-${at}.example.org`], on.issuer));
    const first = await on.open();
    await first.configure(wanted);
    await go(first, on.clock, 0);
    assert.equal(on.issuer.requests.length, 3);
    const second = await on.open();
    await second.configure(wanted);
    await go(second, on.clock, 0);
    assert.equal(on.issuer.requests.length, 3, "the restart has not forgotten");
    for (let taken = 4; taken <= 8; taken += 1) {
      await go(second, on.clock, MINUTE);
      assert.equal(on.issuer.requests.length, taken, "one each minute");
    }
    assert.ok(second.status().every(({ state, failures }) => state === "valid" && failures === 0));
  });
});

void describe("failed authorizations of a name", () => {
  for (const directory of [LETSENCRYPT, ZEROSSL])
    void it(`are five in an hour at ${new URL(directory).hostname}; what the CA has not looked at does not count`, async () => {
      await withCa(
        async (on, manager) => {
          await manager.configure([want(["example.org"], on.issuer)]);
          await go(manager, on.clock, 0);
          for (let more = 0; more < 4; more += 1)
            await assert.rejects(manager.renewNow("example.org"), /connection refused/);
          await assert.rejects(
            manager.renewNow("example.org"),
            /5 failed validations to example\.org in 1 h \(one each 12 minutes\)/,
          );
          assert.equal(on.issuer.requests.length, 5);
          assert.equal(firstStatus(manager).failures, 5);
          on.issuer.behave = taking(async ({ names, observe }) => {
            const error = new Error("the hook failed");
            observe?.({
              kind: "challenge",
              name: names[0] ?? "",
              challenge: "dns-01",
              outcome: "failed",
              error,
            });
            throw error;
          });
          await go(manager, on.clock, 12 * MINUTE);
          for (let more = 0; more < 4; more += 1)
            await assert.rejects(manager.renewNow("example.org"), /the hook failed/);
        },
        { directory, behave: refusing },
      );
    });
});

void describe("a CA that says wait", () => {
  for (const [what, wait] of [
    ["a day", DAY],
    ["a week", 7 * DAY],
  ] as const)
    void it(`for ${what}, of all that an account wants, is not asked for other names meanwhile, nor after a restart`, async () => {
      await withCa(
        async (on, first) => {
          const wanted = Array.from({ length: 30 }, (_, at) => want([`host-${at}.example.org`], on.issuer));
          await first.configure(wanted);
          await go(first, on.clock, 0);
          // Four orders may be under way when the answer comes.
          const asked = on.issuer.requests.length;
          assert.ok(asked >= 1 && asked <= 4, `${asked} were asked for`);
          const due = on.clock.now() + wait;
          assert.ok(first.status().every(({ nextAttempt }) => nextAttempt === due));
          assert.match(
            first.status().at(-1)?.lastError?.message ?? "",
            /the CA asked to wait so long \(too many new orders \(300\) from this account\)/,
          );
          const second = await on.open();
          await second.configure(wanted);
          await go(second, on.clock, wait - 1);
          assert.equal(on.issuer.requests.length, asked);
          on.issuer.behave = taking();
          await go(second, on.clock, 1);
          assert.ok(second.status().every(({ state }) => state === "valid"));
        },
        {
          behave: async () => {
            throw rateLimited("too many new orders (300) from this account", wait);
          },
        },
      );
    });

  void it("is believed for a week at most", async () => {
    await withCa(
      async (on, manager) => {
        await manager.configure([want(["example.org"], on.issuer)]);
        await go(manager, on.clock, 0);
        assert.equal((firstStatus(manager).nextAttempt ?? 0) - on.clock.now(), 7 * DAY);
      },
      {
        behave: async () => {
          throw rateLimited("come back", 3650 * DAY);
        },
      },
    );
  });

  for (const detail of [
    'too many certificates (50) already issued for "example.org" in the last 168h0m0s',
    "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
    'too many failed authorizations (5) for "www.example.org" in the last 1h0m0s',
  ])
    void it(`about some names is asked for others: ${detail}`, async () => {
      await withCa(
        async (on, manager) => {
          await manager.configure([want(["www.example.org"], on.issuer), want(["example.net"], on.issuer)]);
          await go(manager, on.clock, 0);
          assert.deepEqual(
            manager.status().map(({ state }) => state),
            ["failing", "valid"],
          );
          await assert.rejects(manager.renewNow("www.example.org"), /not asked before/);
          await manager.renewNow("example.net");
        },
        {
          behave: async ({ names }) => {
            if (names.includes("www.example.org")) throw rateLimited(detail, DAY);
          },
        },
      );
    });

  void it("and takes an order that was forced, is asked for the others again", async () => {
    await withCa(
      async (on, manager) => {
        await manager.configure([want(["example.org"], on.issuer), want(["example.net"], on.issuer)]);
        await go(manager, on.clock, 0);
        on.issuer.behave = taking();
        await assert.rejects(manager.renewNow("example.net"), /not asked before/);
        await manager.renewNow("example.org", { force: true });
        await manager.renewNow("example.net");
      },
      {
        behave: async () => {
          throw rateLimited("come back", DAY);
        },
      },
    );
  });

  void it("by 503 is left alone as long as it says, and no longer", async () => {
    await withCa(
      async (on, manager) => {
        await manager.configure([want(["example.org"], on.issuer), want(["example.net"], on.issuer)]);
        await go(manager, on.clock, 0);
        const asked = on.issuer.requests.length;
        await go(manager, on.clock, 2 * HOUR - 1);
        assert.equal(on.issuer.requests.length, asked);
        on.issuer.behave = taking();
        await go(manager, on.clock, 1);
        assert.ok(manager.status().every(({ state }) => state === "valid"));
      },
      {
        behave: async () => {
          throw rateLimited("Service busy; retry later.", 2 * HOUR, 503);
        },
      },
    );
  });
});

void describe("the look before the first order", () => {
  void it("is told of in the journal, the log and the status, and does not stop the order", async () => {
    await withCa(async (on, manager) => {
      const warning = "example.org, AAAA 2001:db8::1, port 80: connection refused; remove the AAAA record";
      let looks = 0;
      on.issuer.preflight = async (names) => {
        looks += 1;
        assert.deepEqual(names, ["example.org"]);
        return [warning];
      };
      on.issuer.behave = refusing;
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      assert.deepEqual(firstStatus(manager).warnings, [warning]);
      const { entries } = await manager.journals.read(["example.org"]);
      assert.deepEqual(entries.map(({ kind }) => kind).slice(1, 5), [
        "preflight",
        "order-begun",
        "order-created",
        "challenge",
      ]);
      assert.match(
        on.log.text(),
        /"level":40.*before the order at first: example\.org, AAAA 2001:db8::1, port 80/,
      );
      on.issuer.behave = taking();
      await manager.renewNow("example.org");
      assert.deepEqual([looks, firstStatus(manager).warnings], [2, []], "while there is none");
      await manager.renewNow("example.org");
      assert.equal(looks, 2, "a renewal needs none");
    });
  });

  void it("that finds what stops the CA asks the next one, and spends nothing", async () => {
    await withCa(async (on, manager) => {
      on.issuer.preflight = async () => {
        throw new PaddockError("preflight.caa", "example.org: the CAA record forbids it", {
          fix: "Add one.",
        });
      };
      await manager.configure([want(["example.org"], on.issuer, on.second)]);
      await go(manager, on.clock, 0);
      assert.deepEqual([on.issuer.requests.length, on.second.requests.length], [0, 1]);
      const { entries } = await manager.journals.read(["example.org"]);
      const failed = entries.find(({ kind }) => kind === "order-failed");
      assert.match(
        failed?.kind === "order-failed" ? failed.error : "",
        /the CAA record forbids it\. Add one\./,
      );
    });
  });

  void it("is left out where the order is forced", async () => {
    await withCa(async (on, manager) => {
      on.issuer.preflight = async () => {
        throw new PaddockError("preflight.no-address", "example.org has no A and no AAAA record");
      };
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      assert.equal(firstStatus(manager).state, "failing");
      await manager.renewNow("example.org", { force: true });
      assert.equal(firstStatus(manager).state, "valid");
    });
  });
});

void describe("a clock that jumps", () => {
  void it("a year ahead and back leaves nothing held for a year", async () => {
    await withCa(async (on, manager) => {
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      on.clock.jump(365 * DAY);
      for (let more = 0; more < 4; more += 1) await manager.renewNow("example.org");
      on.issuer.behave = async () => {
        throw rateLimited("come back", 7 * DAY);
      };
      await assert.rejects(manager.renewNow("example.org"), /come back/);
      on.clock.jump(-365 * DAY);
      on.issuer.behave = taking();
      await manager.renewNow("example.org");
      assert.equal(on.issuer.requests.length, 7);
    });
  });
});

void describe("the ledger", () => {
  void it("that is damaged is set aside, and delays nothing", async () => {
    await withCa(async (on, first) => {
      await first.configure([want(["example.org"], on.issuer)]);
      await go(first, on.clock, 0);
      await first.close();
      const [file = ""] = await readdir(join(on.storage, "ledger"));
      const text = await readFile(join(on.storage, "ledger", file), "utf8");
      const { orders, certificates } = JSON.parse(text) as {
        orders: number[];
        certificates: { set: string }[];
      };
      assert.deepEqual([orders.length, certificates.length], [1, 1]);
      await writeFile(join(on.storage, "ledger", file), text.slice(0, 20));
      const second = await on.open();
      await second.configure([want(["example.org"], on.issuer)]);
      await second.renewNow("example.org");
      assert.equal(on.issuer.requests.length, 2);
      assert.match(on.log.text(), /ledger.*is damaged .* what this CA gave before is not counted/);
    });
  });

  void it("stays small, however much is ordered", async () => {
    await withCa(async (on, manager) => {
      await manager.configure([want(["example.org"], on.issuer)]);
      await go(manager, on.clock, 0);
      for (let more = 0; more < 20; more += 1) {
        await go(manager, on.clock, 2 * DAY);
        await manager.renewNow("example.org");
      }
      await manager.close();
      const [file = ""] = await readdir(join(on.storage, "ledger"));
      const { orders, certificates } = JSON.parse(
        await readFile(join(on.storage, "ledger", file), "utf8"),
      ) as {
        orders: number[];
        certificates: unknown[];
      };
      assert.deepEqual([orders.length, certificates.length], [0, 7], "two windows of seven days");
    });
  });
});

void describe("a storage that does not last", () => {
  const doubt = { storageDoubt: async () => "is in the container's own layer" };

  void it("gets no certificate of a public CA, with the line that mends it, and the operator is told", async () => {
    await using on = await setup(new HeldClock(), { guard: doubt });
    on.issuer.directory = LETSENCRYPT;
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    assert.equal(on.issuer.requests.length, 0);
    const { state, failures, lastError, nextAttempt } = firstStatus(manager);
    assert.deepEqual([state, failures, nextAttempt], ["failing", 1, on.clock.now() + MINUTE]);
    assert.match(lastError?.message ?? "", /docker run -v paddock:.*volumes: \["paddock:/);
    const { entries, episode } = await manager.journals.read(["example.org"]);
    assert.ok(entries.some(({ kind }) => kind === "held-back"));
    assert.equal(episode.failures, 1, "this is told: nothing will change by itself");
    await assert.rejects(manager.renewNow("example.org"), /the certificate would be lost/);
    await manager.renewNow("example.org", { force: true });
    assert.equal(firstStatus(manager).state, "valid");
  });

  void it("is none of the embedded CA's and of a staging directory's business", async () => {
    await using on = await setup(new HeldClock(), { guard: doubt });
    on.issuer.directory = "https://acme-staging-v02.api.letsencrypt.org/directory";
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer), want(["app.internal"], on.issuer)]);
    await go(manager, on.clock, 0);
    assert.ok(manager.status().every(({ state }) => state === "valid"));
  });
});
