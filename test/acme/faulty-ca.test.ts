/** What a CA does on a bad day, and Pebble by itself does not. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";
import { AcmeIssuer } from "../../src/acme/issuer.ts";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { PaddockError } from "../../src/errors.ts";
import { FaultyCa, problem, type Step } from "../parts/faulty-ca.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";
import { listeningLogger, setup } from "../certificates/fixtures.ts";
import { HeldClock } from "../certificates/held-clock.ts";
import { HttpBoard, issuerWith, never } from "./fixtures.ts";

void describe("a CA with faults", () => {
  let pebble: Pebble;
  let board: HttpBoard;
  let ca: FaultyCa;
  let names = 0;

  before(async () => {
    board = await new HttpBoard().listen();
    pebble = await startPebble({
      nonceReject: 0,
      httpPort: board.port,
      chainLength: 2,
      alternateChains: 2,
    });
  });
  after(async () => {
    await board[Symbol.asyncDispose]();
    await pebble.stop();
  });

  const issuer = (options: Partial<ConstructorParameters<typeof AcmeIssuer>[0]> = {}): AcmeIssuer =>
    issuerWith({ directory: ca.directoryUrl, trustedRoots: ca.trustedRoots, board, ...options });
  const fresh = () => ({ names: [`fault-${(names += 1)}.example.org`], replaces: null, signal: never });

  before(async () => {
    ca = await FaultyCa.start(pebble);
  });
  afterEach(async () => {
    await ca[Symbol.asyncDispose]();
    ca = await FaultyCa.start(pebble);
  });
  after(async () => {
    await ca[Symbol.asyncDispose]();
  });

  void it("that finalizes over several polls is waited for", async () => {
    ca.finalizeSlowly(3);
    const { chain } = await issuer().issue(fresh());
    assert.ok(new X509Certificate(chain));
    assert.ok(ca.count("order") >= 3);
    assert.equal(ca.count("finalize"), 1);
  });

  void it("with an intermediate more than usual: the whole chain is served", async () => {
    const { chain } = await issuer().issue(fresh());
    assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 3);
  });

  for (const step of ["directory", "newNonce", "newAccount", "newOrder"] satisfies Step[])
    for (const [what, seconds] of [
      ["a day", 86_400],
      ["a week", 604_800],
    ] as const)
      void it(`that asks at ${step} to come back in ${what} is not waited for, and that is passed on`, async () => {
        ca.fail(step, () => problem(429, "rateLimited", { "retry-after": String(seconds) }));
        await assert.rejects(issuer().issue(fresh()), (error: unknown) => {
          assert.ok(error instanceof AcmeProblem);
          assert.deepEqual([error.status, error.retryAfter], [429, seconds * 1000]);
          return true;
        });
        assert.equal(ca.count(step), 1, "asked once, not over and over");
      });

  for (const step of ["newNonce", "newAccount", "newOrder"] satisfies Step[])
    void it(`that limits the account at ${step} hears of few of many names, and of all of them a week later`, async () => {
      ca.fail(step, () => problem(429, "rateLimited", { "retry-after": "604800" }));
      await using on = await setup(new HeldClock());
      const manager = await on.open();
      // Its polls run by the real clock; the schedule is the manager's.
      const issuers = [issuer()];
      const wanted = Array.from(
        { length: 8 },
        () => ({ ...fresh(), choice: { kind: "auto" }, issuers }) as const,
      );
      await manager.configure(wanted);
      await on.clock.advance(0, () => manager.settled());
      const asked = ca.count(step);
      assert.ok(asked >= 1 && asked <= 4, `${asked} of ${step}`);
      const due = on.clock.now() + 604_800_000;
      assert.deepEqual([...new Set(manager.status().map(({ nextAttempt }) => nextAttempt))], [due]);
      ca.fail(step, null);
      await on.clock.advance(604_799_999, () => manager.settled());
      assert.equal(ca.count(step), asked);
      await on.clock.advance(1, () => manager.settled());
      assert.ok(manager.status().every(({ state }) => state === "valid"));
    });

  void it("that is busy while it is polled is asked again", async () => {
    let busy = 2;
    ca.fail("order", () =>
      (busy -= 1) >= 0 ? { status: 503, fields: { "retry-after": "0" }, body: "" } : null,
    );
    ca.finalizeSlowly(2);
    const { chain } = await issuer().issue(fresh());
    assert.ok(new X509Certificate(chain));
    assert.ok(busy < 0, "it was busy as often as was planned, and more was asked");
  });

  for (const step of ["directory", "newAccount", "newOrder", "authorization", "finalize"] satisfies Step[]) {
    void it(`whose answer to ${step} is no JSON is refused with a sentence`, async () => {
      ca.rewrite(step, (answer) => ({ ...answer, body: answer.body.slice(0, answer.body.length / 2) }));
      const outcome = issuer().issue(fresh());
      // A mangled answer to finalize does no harm: the order itself is asked.
      if (step === "finalize") assert.ok(new X509Certificate((await outcome).chain));
      else if (step === "newAccount") assert.ok(new X509Certificate((await outcome).chain));
      else await assert.rejects(outcome, (error: unknown) => error instanceof PaddockError);
    });
    void it(`that cuts the connection at ${step} is reported as such`, async () => {
      ca.fail(step, () => "cut");
      await assert.rejects(issuer().issue(fresh()), (error: unknown) => {
        assert.ok(error instanceof PaddockError);
        assert.equal(error.code, "acme.unreachable");
        assert.notEqual(error.fix, undefined);
        return true;
      });
    });
  }

  void it("that is slower than our patience is given up", async () => {
    const held = ca.hold("newOrder", "before");
    await assert.rejects(
      issuer({ requestTimeout: 300 }).issue(fresh()),
      (error: unknown) => error instanceof PaddockError && error.code === "acme.timeout",
    );
    held.release();
  });

  void it("whose predecessor is replaced already gets an order without it", async () => {
    ca.suggest({ start: new Date(), end: new Date(Date.now() + 3_600_000) });
    const request = fresh();
    const { chain } = await issuer().issue(request);
    ca.fail("newOrder", ({ payload }) =>
      payload?.["replaces"] === undefined ? null : problem(409, "alreadyReplaced"),
    );
    const before = ca.count("newOrder");
    const renewed = await issuer().issue({ ...request, replaces: chain });
    assert.equal(ca.count("newOrder"), before + 2);
    assert.notEqual(new X509Certificate(renewed.chain).serialNumber, new X509Certificate(chain).serialNumber);
  });

  void it("whose renewal window has moved to the past says so, with the page that tells why", async () => {
    const { chain } = await issuer().issue(fresh());
    const hour = 3_600_000;
    const [start, end] = [new Date(Date.now() - 2 * hour), new Date(Date.now() - hour)];
    ca.suggest({ start, end }, "https://ca.example/incident");
    assert.deepEqual(await issuer().renewalWindow(chain, never), {
      start: start.getTime(),
      end: end.getTime(),
      explanationUrl: "https://ca.example/incident",
      retryAfter: 21_600_000,
    });
  });

  void it("that offers profiles is asked for the one that is set; another is refused with the list", async () => {
    ca.describe({ meta: { profiles: { classic: "", shortlived: "" } } });
    await issuer({ profile: "shortlived" }).issue(fresh());
    const sent = ca.requests.find(({ step }) => step === "newOrder")?.payload;
    assert.equal(sent?.["profile"], "shortlived");
    await assert.rejects(
      issuer({ profile: "tlsserver" }).checkProfile(never),
      /has no profile "tlsserver"; it offers: classic, shortlived/,
    );
    assert.equal(ca.count("newOrder"), 1);
  });

  void describe("with several chains", () => {
    const rootOf = (chain: string): string => {
      const last = new X509Certificate(chain.slice(chain.lastIndexOf("-----BEGIN")));
      return last.issuer.replace(/^CN=/, "");
    };
    /** The roots that Pebble offers, by asking for chains to a root that it has not. */
    async function offered(): Promise<string[]> {
      const { log, lines } = listeningLogger();
      const { chain } = await issuer({ preferredChain: "nobody's root", log }).issue(fresh());
      const said = lines.map(({ msg }) => String(msg)).find((line) => line.includes("no chain to"));
      assert.match(said ?? "", /offers no chain to "nobody's root", so its default one is used/);
      const roots = [...(said ?? "").matchAll(/"(Pebble Root CA [0-9a-f]+)"/g)].map(([, root]) => root ?? "");
      assert.equal(rootOf(chain), roots[0], "the default one");
      return roots;
    }

    void it("gives the one to the preferred root, and the default one where there is none such", async () => {
      const roots = await offered();
      assert.equal(new Set(roots).size, 3);
      for (const preferredChain of roots) {
        const { chain } = await issuer({ preferredChain }).issue(fresh());
        assert.equal(rootOf(chain), preferredChain);
      }
    });

    void it("gives the default one where an alternate cannot be fetched", async () => {
      const [first = "", second = ""] = await offered();
      const { log, text } = listeningLogger();
      ca.fail("certificate", ({ url }) => (/\/alternate\//.test(url) ? "cut" : null));
      const { chain } = await issuer({ preferredChain: second, log }).issue(fresh());
      assert.equal(rootOf(chain), first);
      assert.match(text(), /a chain that the CA offers was not accepted/);
    });
  });
});

void describe("IP addresses", () => {
  void it("of both families are certified, as iPAddress and not as a name", async () => {
    await using board = await new HttpBoard().listen("::");
    const pebble = await startPebble({ nonceReject: 0, httpPort: board.port });
    try {
      await using ca = await FaultyCa.start(pebble);
      const issuer = issuerWith({ directory: ca.directoryUrl, trustedRoots: ca.trustedRoots, board });
      const names = ["127.0.0.1", "::1", "host.example.org"];
      const { chain } = await issuer.issue({ names, replaces: null, signal: never });
      const { subjectAltName } = new X509Certificate(chain);
      assert.deepEqual(subjectAltName?.split(", ").sort(), [
        "DNS:host.example.org",
        "IP Address:0:0:0:0:0:0:0:1",
        "IP Address:127.0.0.1",
      ]);
      const sent = ca.requests.find(({ step }) => step === "newOrder")?.payload;
      assert.deepEqual(sent?.["identifiers"], [
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
        { type: "dns", value: "host.example.org" },
      ]);
    } finally {
      await pebble.stop();
    }
  });

  void it("are not asked of Let's Encrypt but under shortlived: no request is made", async () => {
    const directory = "https://acme-v02.api.letsencrypt.org/directory";
    await assert.rejects(
      issuerWith({ name: "letsencrypt", directory, profile: "tlsserver" }).issue({
        names: ["203.0.113.7"],
        replaces: null,
        signal: AbortSignal.abort(new Error("it would ask the CA")),
      }),
      (error: unknown) => {
        assert.ok(error instanceof PaddockError);
        assert.equal(error.code, "acme.addresses-need-profile");
        assert.match(error.fix ?? "", /profile: shortlived/);
        return true;
      },
    );
  });
});
