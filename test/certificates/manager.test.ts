import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { chainComplaint } from "../../src/certificates/chain-order.ts";
import type { CertificateManager } from "../../src/certificates/manager.ts";
import type { WantedCertificate } from "../../src/certificates/plan.ts";
import { PaddockError } from "../../src/errors.ts";
import { DAY, HOUR, MINUTE, setup, type FakeIssuer } from "./fixtures.ts";
import { HeldClock } from "./held-clock.ts";

const auto = { kind: "auto" } as const;
const want = (names: string[], ...issuers: FakeIssuer[]): WantedCertificate => ({
  names,
  choice: auto,
  issuers,
});

const down = async (): Promise<void> => {
  throw new PaddockError("acme.unreachable", "cannot talk to the CA at ca.example", {
    fix: "Check that the CA is up.",
  });
};

/** An order that waits until it is let go, or aborted. */
function gate(): { behave: FakeIssuer["behave"]; open: () => void; reached: Promise<void> } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    behave: async ({ signal }) => {
      reached.resolve();
      const aborted = new Promise<never>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      });
      await Promise.race([opened.promise, aborted]);
    },
  };
}

const go = (manager: CertificateManager, clock: HeldClock, delay: number): Promise<void> =>
  clock.advance(delay, () => manager.settled());

void describe("the first certificate", () => {
  void it("is preceded by a temporary one of the embedded CA, and then served", async () => {
    await using on = await setup(new HeldClock());
    const order = gate();
    on.issuer.behave = order.behave;
    const manager = await on.open();
    await manager.configure([want(["example.org", "www.example.org"], on.issuer)]);
    assert.equal(on.served.length, 1, "configure resolves with something served");
    const [temporary] = on.served[0] ?? [];
    assert.deepEqual([temporary?.origin, temporary?.issuer], ["temporary", "local"]);
    assert.deepEqual(temporary?.names, ["example.org", "www.example.org"]);
    assert.equal(on.issuer.requests.length, 0, "orders begin after configure");
    assert.deepEqual([manager.status()[0]?.state, manager.status()[0]?.serving], ["waiting", "temporary"]);

    const advanced = go(manager, on.clock, 0);
    await order.reached;
    assert.equal(manager.status()[0]?.state, "issuing");
    assert.match(manager.status()[0]?.waitingFor ?? "", /first to validate/);
    order.open();
    await advanced;
    const [stored] = on.served.at(-1) ?? [];
    assert.deepEqual([stored?.origin, stored?.issuer], ["stored", "first"]);
    const [status] = manager.status();
    assert.deepEqual([status?.state, status?.serving, status?.waitingFor], ["valid", "stored", null]);
    assert.deepEqual(on.attempts, [{ name: "example.org", issuer: "first", outcome: "success" }]);
    const states = on.log.lines.filter(({ state }) => state !== undefined).map(({ state }) => state);
    assert.deepEqual(states, ["waiting", "issuing", "valid"], "each change of state is one line");
  });

  void it("is found in a kept storage: a restart orders nothing and serves it at once", async () => {
    await using on = await setup(new HeldClock());
    const first = await on.open();
    await first.configure([want(["example.org"], on.issuer)]);
    await go(first, on.clock, 0);
    const [before] = first.served();
    const second = await on.open();
    await second.configure([want(["example.org"], on.issuer)]);
    await go(second, on.clock, HOUR);
    assert.equal(on.issuer.requests.length, 1);
    assert.equal(on.served.at(-1)?.[0]?.fingerprint, before?.fingerprint);
    assert.equal(second.status()[0]?.state, "valid");
  });

  void it("is ordered anew when the stored one is damaged", async () => {
    await using on = await setup(new HeldClock());
    const first = await on.open();
    await first.configure([want(["example.org"], on.issuer)]);
    await go(first, on.clock, 0);
    const { fileNameForSet } = await import("../../src/certificates/file-name.ts");
    await writeFile(
      join(on.storage, "certificates", "first", `${fileNameForSet(["example.org"])}.json`),
      "{",
    );
    const second = await on.open();
    await second.configure([want(["example.org"], on.issuer)]);
    await go(second, on.clock, 0);
    assert.equal(on.issuer.requests.length, 2);
    assert.match(on.log.text(), /is damaged .* was moved to/);
  });

  void it("comes from the next issuer when the first one fails", async () => {
    await using on = await setup(new HeldClock());
    on.issuer.behave = down;
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer, on.second)]);
    await go(manager, on.clock, 0);
    assert.deepEqual([manager.status()[0]?.state, manager.status()[0]?.issuer], ["valid", "second"]);
    assert.deepEqual(
      on.attempts.map(({ issuer, outcome }) => `${issuer} ${outcome}`),
      ["first failure", "second success"],
    );
  });

  void it("is refused when it is for other names, and nothing is replaced", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    on.issuer.certifies = ["wrong.example.org"];
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    assert.equal(manager.status()[0]?.state, "failing");
    assert.match(manager.status()[0]?.lastError?.message ?? "", /lacks example\.org/);
    assert.equal(on.served.at(-1)?.[0]?.origin, "temporary");
  });
});

void describe("a renewal", () => {
  void it("is made in time, names what it replaces, and swaps the certificate", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    const [before] = manager.served();
    const due = manager.status()[0]?.nextAttempt ?? 0;
    await go(manager, on.clock, due - on.clock.now() - MINUTE);
    assert.equal(on.issuer.requests.length, 1);
    await go(manager, on.clock, 2 * MINUTE);
    assert.equal(on.issuer.requests.length, 2);
    assert.equal(on.issuer.requests[1]?.replaces, before?.chain);
    assert.notEqual(on.served.at(-1)?.[0]?.fingerprint, before?.fingerprint);
  });

  void it("that fails keeps the old certificate served, and is retried after 1, 10, 100 minutes, then ever closer to its end", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    const [before] = manager.served();
    on.issuer.behave = down;
    const { nextAttempt, notAfter } = manager.status()[0] ?? assert.fail();
    await go(manager, on.clock, (nextAttempt ?? 0) - on.clock.now());
    const waits: number[] = [];
    for (let failure = 1; failure <= 5; failure += 1) {
      const [status] = manager.status();
      assert.deepEqual([status?.state, status?.serving, status?.failures], ["failing", "stored", failure]);
      assert.match(
        status?.lastError?.message ?? "",
        /cannot talk to the CA at ca\.example\. Check that the CA is up\./,
      );
      assert.equal(on.issuer.requests.length, 1 + failure);
      waits.push(((status?.nextAttempt ?? 0) - on.clock.now()) / MINUTE);
      if (on.clock.now() + (waits.at(-1) ?? 0) * MINUTE >= (notAfter ?? 0)) break;
      await go(manager, on.clock, (status?.nextAttempt ?? 0) - on.clock.now());
    }
    // The renewal was due with half of seven days and one hour left.
    const left = (7 * DAY + HOUR) / MINUTE / 2 - 111;
    const expected = [1, 10, 100, left / 4, (left * 3) / 16];
    assert.deepEqual(waits.map(Math.round), expected.map(Math.round));
    assert.equal(on.served.length, 2, "nothing was swapped: temporary, then the stored one");
    assert.equal(on.served.at(-1)?.[0]?.fingerprint, before?.fingerprint);
    on.issuer.behave = async () => {};
    await go(manager, on.clock, DAY);
    assert.deepEqual([manager.status()[0]?.state, manager.status()[0]?.failures], ["valid", 0]);
    assert.equal(manager.status()[0]?.lastError, null);
  });

  void it("waits as long as the CA asks, by the minute", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    on.issuer.behave = async () => {
      throw Object.assign(new PaddockError("acme.rateLimited", "too many"), { retryAfter: 3 * HOUR });
    };
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    assert.equal((manager.status()[0]?.nextAttempt ?? 0) - on.clock.now(), 3 * HOUR);
  });

  void it("that fails until the end of the certificate leaves it served, and says so once", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    const [before] = manager.served();
    on.issuer.behave = down;
    await go(manager, on.clock, 8 * DAY);
    assert.deepEqual(on.served.at(-1), [before]);
    assert.deepEqual([manager.status()[0]?.serving, manager.status()[0]?.state], ["stored", "failing"]);
    await go(manager, on.clock, 20 * DAY);
    assert.deepEqual(manager.served(), [before]);
    const said = on.log.lines.filter(({ msg }) =>
      /the certificate for example\.org ended at/.test(String(msg)),
    );
    assert.equal(said.length, 1);
    assert.match(
      String(said[0]?.["msg"]),
      /by the clock of this machine, which says .*; the old one is served on/,
    );
    on.issuer.behave = async () => {};
    await go(manager, on.clock, 1.05 * DAY);
    assert.notEqual(manager.served()[0]?.fingerprint, before?.fingerprint);
    assert.equal(manager.status()[0]?.state, "valid");
  });

  void it("is preceded by a temporary one that is renewed too, while there has never been another", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    on.issuer.behave = down;
    await manager.configure([want(["example.org"], on.issuer)]);
    const [shown] = manager.served();
    await go(manager, on.clock, 28 * DAY);
    const [now] = on.served.at(-1) ?? [];
    assert.deepEqual([now?.origin, manager.status()[0]?.serving], ["temporary", "temporary"]);
    assert.notEqual(now?.fingerprint, shown?.fingerprint);
    assert.ok(new X509Certificate(now?.chain ?? "").validToDate.getTime() > on.clock.now());
  });

  void it("follows the CA's window, chosen once and kept over a restart", async () => {
    await using on = await setup(new HeldClock());
    const start = on.clock.now() + 2 * DAY;
    on.issuer.window = async () => ({
      start,
      end: start + HOUR,
      explanationUrl: "https://ca/why",
      retryAfter: HOUR,
    });
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    await go(manager, on.clock, 3 * HOUR + MINUTE);
    assert.equal(manager.status()[0]?.nextAttempt, start);
    assert.equal(on.issuer.windowsAsked, 4, "at once, then as Retry-After says");
    assert.match(on.log.text(), /why: https:\/\/ca\/why/);
    const again = await on.open();
    await again.configure([want(["example.org"], on.issuer)]);
    assert.equal(again.status()[0]?.nextAttempt, start);
    await go(again, on.clock, 2 * DAY);
    assert.equal(on.issuer.requests.length, 2);
  });

  void it("is not made in a loop when the CA's window is always in the past", async () => {
    await using on = await setup(new HeldClock());
    on.issuer.window = async () => ({ start: 0, end: 1, explanationUrl: null, retryAfter: null });
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 2 * DAY);
    assert.ok(on.issuer.requests.length <= 4, `${on.issuer.requests.length} orders in two days`);
  });

  void it("happens by its schedule when there is no renewal information to be had", async () => {
    await using on = await setup(new HeldClock());
    on.issuer.window = down as unknown as FakeIssuer["window"];
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 4 * DAY);
    assert.equal(on.issuer.requests.length, 2);
  });

  void it("can be asked for, and tells its failure", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    await manager.renewNow("EXAMPLE.org");
    assert.equal(on.issuer.requests.length, 2);
    on.issuer.behave = down;
    await assert.rejects(manager.renewNow("example.org"), /cannot talk to the CA/);
    await assert.rejects(manager.renewNow("example.net"), /no site has the name/);
  });
});

void describe("orders", () => {
  void it("for the same names are never made at once, whoever asks", async () => {
    await using on = await setup(new HeldClock());
    const order = gate();
    on.issuer.behave = order.behave;
    const manager = await on.open();
    const wanted = [
      want(["example.org", "www.example.org"], on.issuer),
      want(["www.example.org", "example.org"], on.issuer),
    ];
    await manager.configure(wanted);
    assert.equal(manager.status().length, 1, "two sites, one certificate");
    const advanced = go(manager, on.clock, 0);
    await order.reached;
    const asked = [
      manager.renewNow("example.org"),
      manager.renewNow("www.example.org"),
      manager.configure(wanted),
    ];
    order.open();
    await Promise.all([...asked, advanced]);
    await go(manager, on.clock, 0);
    assert.equal(on.issuer.requests.length, 1);
    assert.equal(on.issuer.mostRunning, 1);
  });

  void it("of a job that a reload replaces end before the next one begins", async () => {
    await using on = await setup(new HeldClock());
    const order = gate();
    on.issuer.behave = order.behave;
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    const advanced = go(manager, on.clock, 0);
    await order.reached;
    on.second.behave = async () => assert.equal(on.issuer.running, 0);
    await manager.configure([want(["example.org"], on.second)]);
    await advanced;
    await go(manager, on.clock, 0);
    assert.ok(on.issuer.requests[0]?.signal.aborted);
    assert.deepEqual([manager.status()[0]?.state, manager.status()[0]?.issuer], ["valid", "second"]);
  });

  void it("under way are aborted by close, and not counted as failures", async () => {
    await using on = await setup(new HeldClock());
    const order = gate();
    on.issuer.behave = order.behave;
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    const advanced = go(manager, on.clock, 0);
    await order.reached;
    await manager.close();
    await advanced;
    assert.equal(on.issuer.running, 0);
    assert.deepEqual(on.attempts, []);
    assert.equal(on.clock.next, Infinity, "no timer is left");
  });

  void it("of many sites are made a few at a time", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const wanted = Array.from({ length: 10 }, (_, index) => want([`site${index}.example.org`], on.issuer));
    on.issuer.behave = () => new Promise((resolve) => setImmediate(resolve));
    await manager.configure(wanted);
    await on.clock.advance(0, async () => {});
    await manager.settled();
    assert.equal(on.issuer.requests.length, 10);
    assert.ok(on.issuer.mostRunning > 1 && on.issuer.mostRunning <= 4, String(on.issuer.mostRunning));
  });
});

void describe("names that no public CA certifies", () => {
  void it("get their certificate of the embedded CA before configure resolves, apart from the others", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["example.org", "localhost", "127.0.0.1"], on.issuer)]);
    const issued = manager.status().map(({ names, issuer, state }) => ({ names, issuer, state }));
    assert.deepEqual(issued, [
      { names: ["example.org"], issuer: "first", state: "waiting" },
      { names: ["localhost", "127.0.0.1"], issuer: "local", state: "valid" },
    ]);
    await go(manager, on.clock, 30 * DAY);
    assert.ok(manager.status().every(({ state }) => state === "valid"));
    assert.ok(on.attempts.filter(({ issuer }) => issuer === "local").length >= 7, "half of seven days");
    assert.ok(on.issuer.requests.every(({ names }) => names.join() === "example.org"));
  });

  void it("and sites that choose it, and lists without a public CA, too", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([
      { names: ["a.example.org"], choice: { kind: "local" }, issuers: [on.issuer] },
      { names: ["b.example.org"], choice: auto, issuers: [manager.local] },
      { names: ["c.example.org"], choice: auto, issuers: [on.issuer, manager.local] },
    ]);
    assert.deepEqual(
      manager.status().map(({ issuer }) => issuer),
      ["local", "local", "first"],
    );
  });
});

void describe("a reload", () => {
  void it("that adds a name keeps the certificate on the others until the new one is there", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    const [before] = manager.served();
    on.issuer.behave = down;
    await manager.configure([want(["example.org", "www.example.org"], on.issuer)]);
    const served = on.served.at(-1) ?? [];
    assert.deepEqual(
      served.map(({ names, origin }) => ({ names, origin })),
      [
        { names: ["example.org"], origin: "stored" },
        { names: ["www.example.org"], origin: "temporary" },
      ],
    );
    assert.equal(served[0]?.fingerprint, before?.fingerprint);
  });

  void it("that drops a site stops its renewals, and leaves the others as they are", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["a.example.org"], on.issuer), want(["b.example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    const kept = manager.served().find(({ names }) => names[0] === "a.example.org");
    await manager.configure([want(["a.example.org"], on.issuer)]);
    assert.deepEqual(on.served.at(-1), [kept]);
    await go(manager, on.clock, 4 * DAY);
    assert.deepEqual(
      on.issuer.requests.map(({ names }) => names[0]),
      ["a.example.org", "b.example.org", "a.example.org"],
    );
  });

  void it("tries again to reach the workers when they did not take the certificates", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const push = on.served.push.bind(on.served);
    let refusals = 1;
    on.served.push = (...sets) => {
      if ((refusals -= 1) >= 0) throw new Error("no worker answers");
      return push(...sets);
    };
    await manager.configure([want(["example.org"], on.issuer)]);
    assert.match(on.log.text(), /did not reach the workers: no worker answers/);
    await go(manager, on.clock, 0);
    assert.equal(on.served.at(-1)?.[0]?.origin, "stored");
  });
});

void describe("certificates of the operator's own", () => {
  async function files(on: { storage: string }, manager: CertificateManager, names: string[]) {
    const made = await manager.local.issue({ names, replaces: null, signal: new AbortController().signal });
    const paths = { cert: join(on.storage, "own.pem"), key: join(on.storage, "own-key.pem") };
    await writeFile(paths.cert, made.chain);
    await writeFile(paths.key, made.key);
    return { made, choice: { kind: "files", ...paths } as const, issuers: [] };
  }

  void it("are served as they are, and read again at a reload", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const { made, ...site } = await files(on, manager, ["example.org", "*.example.org"]);
    await manager.configure([{ names: ["example.org", "www.example.org"], ...site }]);
    assert.deepEqual([on.served[0]?.[0]?.chain, on.served[0]?.[0]?.issuer], [made.chain, "files"]);
    assert.equal(manager.status()[0]?.state, "valid");
    await assert.rejects(manager.renewNow("www.example.org"), /from a file/);
    const again = await files(on, manager, ["example.org", "*.example.org"]);
    await manager.configure([{ names: ["example.org", "www.example.org"], ...site }]);
    assert.equal(on.served.at(-1)?.[0]?.chain, again.made.chain);
    on.clock.jump(8 * DAY);
    await go(manager, on.clock, MINUTE);
    assert.deepEqual([manager.status()[0]?.state, manager.served().length], ["failing", 1]);
  });

  void it("are taken anew when the files change, and never half", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const { made, ...site } = await files(on, manager, ["example.org"]);
    await manager.configure([{ names: ["example.org"], ...site }]);
    const next = await manager.local.issue({
      names: ["example.org"],
      replaces: null,
      signal: new AbortController().signal,
    });
    const now = (): string | undefined => on.served.at(-1)?.[0]?.chain;
    await writeFile(site.choice.cert, next.chain);
    await go(manager, on.clock, 30_000);
    assert.deepEqual([now(), manager.status()[0]?.state], [made.chain, "valid"]);
    await writeFile(site.choice.key, next.key);
    await go(manager, on.clock, 10_000);
    assert.deepEqual([now(), on.served.at(-1)?.[0]?.key], [next.chain, next.key]);
    assert.match(on.log.text(), /changed, and is served now/);
  });

  void it("are served on while the changed files cannot be used, which is said after a minute, once", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const { made, ...site } = await files(on, manager, ["example.org"]);
    await manager.configure([{ names: ["example.org"], ...site }]);
    await unlink(site.choice.key);
    await go(manager, on.clock, 10 * MINUTE);
    assert.equal(on.served.at(-1)?.[0]?.chain, made.chain);
    const [status] = manager.status();
    assert.equal(status?.state, "failing");
    assert.match(status.lastError?.message ?? "", /have changed and cannot be used.*own-key\.pem/);
    assert.equal(on.log.lines.filter(({ level }) => level === 50).length, 1);
    await writeFile(site.choice.key, made.key);
    await go(manager, on.clock, 10_000);
    assert.deepEqual([manager.status()[0]?.state, manager.status()[0]?.lastError], ["valid", null]);
  });

  void it("with a missing intermediate are served, and the log names it", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    const { made, ...site } = await files(on, manager, ["example.org"]);
    const [leaf, intermediate] = made.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
    await writeFile(site.choice.cert, String(leaf));
    await manager.configure([{ names: ["example.org"], ...site }]);
    assert.match(on.log.text(), /the intermediate Paddock Local Intermediate CA [0-9a-f]+ is missing in it/);
    assert.equal(chainComplaint(made.chain), null);
    assert.match(chainComplaint(String(leaf) + String(leaf)) ?? "", /did not issue the one before it/);
    assert.equal(chainComplaint(manager.ca.rootCertificatePem), null);
    assert.notEqual(intermediate, undefined);
  });

  void it("that do not fit are refused with the fix, and change nothing", async () => {
    await using on = await setup(new HeldClock());
    const manager = await on.open();
    await manager.configure([want(["other.example.org"], on.issuer)]);
    await go(manager, on.clock, 0);
    const { choice, issuers } = await files(on, manager, ["example.org"]);
    const refused = async (names: string[], code: string): Promise<void> => {
      await assert.rejects(
        manager.configure([{ names, choice, issuers }, want(["new.example.org"], on.issuer)]),
        (error) => {
          assert.ok(error instanceof PaddockError);
          assert.equal(error.code, code);
          assert.notEqual(error.fix, undefined);
          return true;
        },
      );
    };
    await refused(["example.net"], "certificate.lacks-name");
    const other = await manager.local.issue({
      names: ["x.test"],
      replaces: null,
      signal: new AbortController().signal,
    });
    await writeFile(choice.key, other.key);
    await refused(["example.org"], "certificate.key-mismatch");
    await writeFile(choice.cert, "not PEM");
    await refused(["example.org"], "certificate.file-unreadable");
    await refused(["example.org"], "certificate.file-unreadable");
    assert.deepEqual(
      manager.status().map(({ name, state }) => `${name} ${state}`),
      ["other.example.org valid"],
    );
  });
});
