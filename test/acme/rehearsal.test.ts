/** An issuer that rehearses, against Pebble that reuses every authorization it can. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, describe, it } from "node:test";
import { AcmeIssuer } from "../../src/acme/issuer.ts";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { PaddockError } from "../../src/errors.ts";
import { FaultyCa, json, problem } from "../parts/faulty-ca.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";
import { HttpBoard, issuerWith, MemoryAccounts, never } from "./fixtures.ts";

const names = ["shop.example.org", "www.shop.example.org"];

void describe("a rehearsal", () => {
  let pebble: Pebble;
  let ca: FaultyCa;
  let board: HttpBoard;
  let accounts: MemoryAccounts;
  let made: (options?: { rehearses?: boolean; profile?: string }) => AcmeIssuer;

  before(async () => {
    board = await new HttpBoard().listen();
    pebble = await startPebble({ nonceReject: 0, authzReuse: 100, httpPort: board.port });
    ca = await FaultyCa.start(pebble);
    const trustedRoots = await readFile(pebble.trustedRootsPath, "utf8");
    made = ({ rehearses = true, profile = null } = {}) =>
      issuerWith({ directory: ca.directoryUrl, trustedRoots, board, accounts, rehearses, profile });
  });
  beforeEach(() => {
    accounts = new MemoryAccounts();
  });
  after(async () => {
    await ca[Symbol.asyncDispose]();
    await board[Symbol.asyncDispose]();
    await pebble.stop();
  });
  const order = async (issuer: AcmeIssuer) => await issuer.issue({ names, replaces: null, signal: never });

  void it("proves each name each time, though the CA would go by what it knows", async () => {
    for (const time of [1, 2, 3]) {
      const before = board.published;
      await order(made());
      assert.equal(board.published - before, 2, `time ${time}`);
    }
  });

  void it("proves them also where orders of the same account have left proofs", async () => {
    const usual = made({ rehearses: false });
    await order(usual);
    const before = board.published;
    await order(usual);
    assert.equal(board.published, before, "this CA asks for no proof a second time");
    await order(made());
    assert.equal(board.published - before, 2);
  });

  void it("fails where the site has broken since the one that passed, and says so as the site's fault", async () => {
    await order(made());
    const publish = board.publish.bind(board);
    board.publish = async () => undefined;
    try {
      await assert.rejects(order(made()), (error) => error instanceof AcmeProblem && error.unproven);
    } finally {
      board.publish = publish;
    }
    await order(made());
  });

  void it("gives up on a CA that does not let go of its proofs, and does not call that the site's fault", async () => {
    await order(made({ rehearses: false }));
    ca.fail("authorization", ({ payload }) =>
      payload?.["status"] === "deactivated" ? json(200, { status: "valid" }) : null,
    );
    const orders = ca.count("newOrder");
    try {
      await assert.rejects(
        order(made()),
        (error) =>
          error instanceof PaddockError && error.code === "acme.held-proofs" && !("unproven" in error),
      );
    } finally {
      ca.fail("authorization", null);
    }
    assert.equal(ca.count("newOrder") - orders, 11);
  });

  void it("goes without a profile that the staging directory does not offer", async () => {
    const { chain } = await order(made({ profile: "shortlived" }));
    assert.match(chain, /BEGIN CERTIFICATE/);
  });

  void it("that meets a busy or broken CA says nothing about the site", async () => {
    for (const answer of [
      problem(429, "rateLimited"),
      problem(503, "serverInternal"),
      problem(403, "unauthorized"),
    ]) {
      ca.fail("newOrder", () => answer);
      await assert.rejects(order(made()), (error) => error instanceof AcmeProblem && !error.unproven);
    }
    ca.fail("newOrder", null);
  });
});

void describe("whose fault a problem is", () => {
  const problemWith = (type: string, status: number | null, subproblems: string[] = []) =>
    new AcmeProblem({
      type: `urn:ietf:params:acme:error:${type}`,
      detail: "",
      status,
      retryAfter: null,
      subproblems: subproblems.map((kind) => ({
        type: `urn:ietf:params:acme:error:${kind}`,
        detail: "",
        identifier: null,
      })),
    });

  void it("is the site's for what is found out there", () => {
    for (const kind of ["connection", "dns", "tls", "incorrectResponse", "caa", "unauthorized"])
      assert.ok(problemWith(kind, null).unproven, kind);
    assert.ok(problemWith("caa", 403).unproven, "also where finalize says so");
    assert.ok(problemWith("compound", null, ["rejectedIdentifier", "dns"]).unproven);
  });

  void it("is not for the account, the limits, the policy and the state of the CA", () => {
    for (const [kind, status] of [
      ["unauthorized", 403],
      ["rateLimited", 429],
      ["dns", 503],
      ["rejectedIdentifier", 400],
      ["malformed", 400],
      ["serverInternal", null],
    ] as const)
      assert.equal(problemWith(kind, status).unproven, false, kind);
  });
});
