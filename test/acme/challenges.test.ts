/** Which challenge is answered, and what follows one that fails. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { challengesOf } from "../../src/acme/challenge.ts";
import { ChallengeTrials } from "../../src/acme/challenge-trials.ts";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { kindsThatProve, type ChallengeKind } from "../../src/config/challenges.ts";
import { PaddockError } from "../../src/errors.ts";
import { startPebble } from "../parts/pebble.ts";
import { FakeAuthority, HttpBoard, issuerWith, never, TlsBoard } from "./fixtures.ts";

const ALL: readonly ChallengeKind[] = ["http-01", "tls-alpn-01", "dns-01"];

void describe("kinds of challenges", () => {
  void it("are those that can prove the name, in their order", () => {
    assert.deepEqual(kindsThatProve("a.example", ["tls-alpn-01", "http-01"]), ["tls-alpn-01", "http-01"]);
    assert.deepEqual(kindsThatProve("*.a.example", ALL), ["dns-01"]);
    assert.deepEqual(kindsThatProve("*.a.example", ["http-01"]), []);
    for (const address of ["192.0.2.7", "2001:db8::7"])
      assert.deepEqual(kindsThatProve(address, ALL), ["http-01", "tls-alpn-01"]);
  });
});

/** A board with all kinds, on which nothing is shown, and which fails where it is told to. */
class AnyBoard extends HttpBoard {
  readonly log: string[] = [];
  readonly failing: ChallengeKind[] = [];
  kinds = ALL;

  override kindsFor(name: string): readonly ChallengeKind[] {
    return kindsThatProve(name, this.kinds);
  }

  override async publish(answer: { kind: ChallengeKind; name: string; token: string }): Promise<void> {
    this.log.push(`publish ${answer.kind} ${answer.name}`);
    if (this.failing.includes(answer.kind))
      throw new PaddockError("dns.hook-failed", "the hook ended with code 1", { fix: "Mend the hook." });
  }

  override async withdraw(answer: { kind: ChallengeKind; name: string }): Promise<void> {
    this.log.push(`withdraw ${answer.kind} ${answer.name}`);
  }
}

interface Offer {
  readonly accepts: readonly ChallengeKind[];
  readonly offers?: readonly string[];
  readonly name?: string;
  readonly wildcard?: boolean;
}

/** A CA with one authorization for each order, which accepts some kinds of challenges alone. */
async function authorityThat({ accepts, offers = ALL, name = "a.example", wildcard = false }: Offer) {
  const authority = await new FakeAuthority().start();
  const { url } = authority;
  let orders = 0;
  authority.routes.set("/order", (_request, response) => {
    orders += 1;
    const authz = `/authz/${orders}`;
    const challenges = offers.map((type) => ({
      type,
      url: `${url}/challenge/${orders}/${type}`,
      token: `${type}-${orders}`,
      status: "pending" as string,
      error: undefined as unknown,
    }));
    const identifier = { type: "dns", value: name };
    const state = { status: "pending", identifier, challenges, ...(wildcard ? { wildcard } : {}) };
    authority.json(authz, 200, state);
    for (const challenge of challenges)
      authority.routes.set(`/challenge/${orders}/${challenge.type}`, (_, answer) => {
        const good = accepts.includes(challenge.type as ChallengeKind);
        const type = "urn:ietf:params:acme:error:unauthorized";
        challenge.status = good ? "valid" : "invalid";
        if (!good) challenge.error = { type, detail: `no answer by ${challenge.type}` };
        authority.json(authz, 200, { ...state, status: challenge.status });
        authority.json("/order/1", 200, { status: good ? "ready" : "invalid", finalize: `${url}/finalize` });
        answer.end("{}");
      });
    const order = { status: "pending", finalize: `${url}/finalize`, authorizations: [`${url}${authz}`] };
    const fields = { "Content-Type": "application/json", Location: `${url}/order/1` };
    response.writeHead(201, fields).end(JSON.stringify(order));
  });
  authority.problem("/finalize", 500, "serverInternal");
  return {
    authority,
    orders: () => orders,
    /** The order always fails at finalize, or before. */
    attempt: async (board: HttpBoard): Promise<PaddockError> => {
      const issuer = issuerWith({ directory: authority.directory, board });
      const names = [wildcard ? `*.${name}` : name];
      const error: unknown = await issuer
        .issue({ names, replaces: null, signal: never })
        .catch((e: unknown) => e);
      assert.ok(error instanceof PaddockError, String(error));
      return error;
    },
  };
}

void describe("an attempt", () => {
  void it("goes on with the next kind in a new order where the CA refuses one", async () => {
    const { authority, attempt, orders } = await authorityThat({ accepts: ["dns-01"] });
    await using _ = authority;
    const board = new AnyBoard();
    assert.equal((await attempt(board)).code, "acme.serverInternal", "it came to finalize");
    assert.equal(orders(), 3);
    assert.deepEqual(
      board.log,
      ALL.flatMap((kind) => [`publish ${kind} a.example`, `withdraw ${kind} a.example`]),
    );
    assert.deepEqual([...board.provenBy], [["a.example", "dns-01"]]);
  });

  void it("goes on in the same order where an answer cannot be shown", async () => {
    const { authority, attempt, orders } = await authorityThat({ accepts: ["http-01"] });
    await using _ = authority;
    const board = new AnyBoard();
    board.kinds = ["dns-01", "http-01"];
    board.failing.push("dns-01");
    assert.equal((await attempt(board)).code, "acme.serverInternal");
    assert.equal(orders(), 1);
    assert.deepEqual(board.log.slice(0, 3), [
      "publish dns-01 a.example",
      "withdraw dns-01 a.example",
      "publish http-01 a.example",
    ]);
  });

  void it("ends with what each kind said and what helps, when the last has failed", async () => {
    const { authority, attempt, orders } = await authorityThat({
      accepts: [],
      offers: ["http-01", "dns-01"],
    });
    await using _ = authority;
    const board = new AnyBoard();
    board.failing.push("dns-01");
    const error = await attempt(board);
    assert.equal(error.code, "acme.challenges-failed");
    assert.equal(
      error.message,
      "a.example, http-01: no answer by http-01; a.example, dns-01: the hook ended with code 1; tls-alpn-01: not offered by the CA",
    );
    assert.match(error.fix ?? "", /^http-01: .*port 80.* dns-01: Mend the hook\.$/);
    assert.equal(orders(), 2);
    assert.deepEqual(authority.seen.at(-1)?.payload, { status: "deactivated" }, "the CA's quota is freed");
  });

  void it("is one order with the CA's own problem where one kind is allowed, and names port 443 where it is its", async () => {
    const { authority, attempt, orders } = await authorityThat({ accepts: [] });
    await using _ = authority;
    const board = new AnyBoard();
    board.kinds = ["tls-alpn-01"];
    const error = await attempt(board);
    assert.ok(error instanceof AcmeProblem);
    assert.equal(error.message, "a.example, tls-alpn-01: no answer by tls-alpn-01");
    assert.match(error.fix ?? "", /port 443/);
    assert.equal(orders(), 1);
  });

  void it("proves a wildcard by dns-01 alone, under the name without the asterisk", async () => {
    const { authority, attempt } = await authorityThat({ accepts: ["dns-01"], wildcard: true });
    await using _ = authority;
    const board = new AnyBoard();
    assert.equal((await attempt(board)).code, "acme.serverInternal");
    assert.deepEqual(board.log, ["publish dns-01 a.example", "withdraw dns-01 a.example"]);
    assert.deepEqual([...board.provenBy], [["*.a.example", "dns-01"]]);
    board.kinds = ["http-01"];
    const error = await attempt(board);
    assert.equal(error.code, "acme.no-usable-challenge");
    assert.match(
      error.message,
      /no challenge that can prove \*\.a\.example, only: http-01, tls-alpn-01, dns-01$/,
    );
  });

  void it("prefers the challenge that the CA is looking at already", () => {
    const trials = new ChallengeTrials(new AnyBoard());
    const offered = challengesOf(
      ALL.map((type) => ({
        type,
        url: "u",
        token: "t",
        status: type === "dns-01" ? "processing" : "pending",
      })),
    );
    assert.equal(trials.next("a.example", offered).type, "dns-01");
  });
});

void describe("tls-alpn-01 with Pebble", () => {
  void it("proves names and an IP address (RFC 8738)", async () => {
    await using board = await new TlsBoard().listen();
    const pebble = await startPebble({ tlsPort: board.port });
    try {
      const trustedRoots = await readFile(pebble.trustedRootsPath, "utf8");
      const issuer = issuerWith({ directory: pebble.directoryUrl, trustedRoots, board });
      const names = ["alpn.example.org", "127.0.0.1"];
      const { chain } = await issuer.issue({ names, replaces: null, signal: never });
      assert.equal(new X509Certificate(chain).subjectAltName, "DNS:alpn.example.org, IP Address:127.0.0.1");
      assert.deepEqual([...board.provenBy.values()], ["tls-alpn-01", "tls-alpn-01"]);
    } finally {
      await pebble.stop();
    }
  });
});
