import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { PaddockError } from "../../src/errors.ts";
import { startPebble, type Pebble, type PebbleOptions } from "../parts/pebble.ts";
import { HttpBoard, issuerWith, MemoryAccounts, never } from "./fixtures.ts";

const MAC_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

function withPebble(options: PebbleOptions): { pebble: Pebble; board: HttpBoard; roots: string } {
  const parts = {} as { pebble: Pebble; board: HttpBoard; roots: string };
  before(async () => {
    parts.board = await new HttpBoard().listen();
    parts.pebble = await startPebble({ ...options, httpPort: parts.board.port });
    parts.roots = await readFile(parts.pebble.trustedRootsPath, "utf8");
  });
  after(async () => {
    await parts.board[Symbol.asyncDispose]();
    await parts.pebble.stop();
  });
  return parts;
}

void describe("against Pebble that refuses 30 % of the nonces and reuses nothing", () => {
  const parts = withPebble({ nonceReject: 30, authzReuse: 0, blocked: ["blocked.example.net"] });
  const issuer = (accounts = new MemoryAccounts()) =>
    issuerWith({
      directory: parts.pebble.directoryUrl,
      trustedRoots: parts.roots,
      board: parts.board,
      accounts,
    });

  void it("issues a certificate for two names, with real http-01 validation of each", async () => {
    const names = ["two.example.org", "www.two.example.org"];
    const published = parts.board.published;
    const { chain, key } = await issuer().issue({ names, replaces: null, signal: never });
    const leaf = new X509Certificate(chain);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(key)));
    assert.equal(leaf.subjectAltName, "DNS:two.example.org, DNS:www.two.example.org");
    assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
    assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
    assert.equal(parts.board.published - published, 2);
    assert.equal(parts.board.shown.size, 0, "tokens are withdrawn");
  });

  void it("certifies an IP address", async () => {
    const { chain } = await issuer().issue({ names: ["127.0.0.1"], replaces: null, signal: never });
    assert.equal(new X509Certificate(chain).subjectAltName, "IP Address:127.0.0.1");
  });

  void it("makes one account for several orders at once, and a new key for each certificate", async () => {
    const accounts = new MemoryAccounts();
    const shared = issuer(accounts);
    const [one, two] = await Promise.all([
      shared.issue({ names: ["one.example.org"], replaces: null, signal: never }),
      shared.issue({ names: ["other.example.org"], replaces: null, signal: never }),
    ]);
    assert.notEqual(one.key, two.key);
    assert.equal(new Set(accounts.saved.map((account) => account.url)).size, 2, "null, then one URL");
    await issuer(accounts).issue({ names: ["one.example.org"], replaces: null, signal: never });
    assert.equal(new Set(accounts.saved.map((account) => account.url)).size, 2, "kept after a restart");
  });

  void it("finds the same account again when its URL was lost after the key was kept", async () => {
    const accounts = new MemoryAccounts();
    await issuer(accounts).issue({ names: ["crash.example.org"], replaces: null, signal: never });
    const kept = accounts.saved.at(-1);
    assert.ok(kept);
    accounts.saved = [{ ...kept, url: null }];
    await issuer(accounts).issue({ names: ["crash.example.org"], replaces: null, signal: never });
    assert.equal(accounts.saved.at(-1)?.url, kept.url);
  });

  void it("says what to do when the challenge cannot be fetched, and leaves nothing on the board", async () => {
    const board = new HttpBoard();
    board.publish = async () => {};
    const failing = issuerWith({ directory: parts.pebble.directoryUrl, trustedRoots: parts.roots, board });
    await assert.rejects(
      failing.issue({ names: ["absent.example.org", "absent2.example.org"], replaces: null, signal: never }),
      (error: unknown) => {
        assert.ok(error instanceof AcmeProblem);
        assert.ok(error.is("unauthorized"), error.type);
        assert.match(error.message, /absent2?\.example\.org/);
        assert.match(error.fix ?? "", /port 80/);
        return true;
      },
    );
  });

  void it("reports a name that the CA refuses, with its problem type", async () => {
    await assert.rejects(
      issuer().issue({ names: ["blocked.example.net"], replaces: null, signal: never }),
      (error: unknown) => error instanceof AcmeProblem && error.code === "acme.rejectedIdentifier",
    );
  });

  void it("refuses a wildcard that http-01 cannot prove, and says what would", async () => {
    await assert.rejects(
      issuer().issue({ names: ["*.example.org"], replaces: null, signal: never }),
      (error: unknown) =>
        error instanceof PaddockError &&
        error.code === "acme.no-usable-challenge" &&
        error.message.includes("*.example.org") &&
        error.fix?.includes("dns-01") === true,
    );
  });

  void it("stops when aborted while the board is being filled, and withdraws the token", async () => {
    const ending = new AbortController();
    const withdrawn: string[] = [];
    const board = new HttpBoard();
    board.publish = async () => ending.abort(new Error("shutting down"));
    board.withdraw = async ({ token }) => void withdrawn.push(token);
    const aborted = issuerWith({ directory: parts.pebble.directoryUrl, trustedRoots: parts.roots, board });
    await assert.rejects(
      aborted.issue({ names: ["abort.example.org"], replaces: null, signal: ending.signal }),
      /shutting down/,
    );
    assert.equal(withdrawn.length, 1);
  });

  void it("names the fix when the CA's own certificate is not trusted", async () => {
    const distrusting = issuerWith({ directory: parts.pebble.directoryUrl });
    await assert.rejects(
      distrusting.issue({ names: ["a.example.org"], replaces: null, signal: never }),
      (error: unknown) => error instanceof PaddockError && error.fix?.includes("trustedRoots") === true,
    );
  });
});

void describe("against Pebble that reuses all authorizations and asks for external account binding", () => {
  const parts = withPebble({ authzReuse: 100, externalAccounts: { "kid-1": MAC_KEY } });
  const options = () => ({
    directory: parts.pebble.directoryUrl,
    trustedRoots: parts.roots,
    board: parts.board,
  });

  void it("answers no challenge for a name that is authorized already", async () => {
    const eab = { keyId: "kid-1", hmacKey: MAC_KEY };
    const issuer = issuerWith({ ...options(), eab, email: "operator@example.org" });
    await issuer.issue({ names: ["reuse.example.org"], replaces: null, signal: never });
    const published = parts.board.published;
    await issuer.issue({ names: ["reuse.example.org"], replaces: null, signal: never });
    assert.equal(parts.board.published, published);
  });

  void it("says that the CA wants external account binding", async () => {
    await assert.rejects(
      issuerWith(options()).issue({ names: ["eab.example.org"], replaces: null, signal: never }),
      (error: unknown) => error instanceof PaddockError && error.code === "acme.external-account-required",
    );
  });
});

void describe("against Pebble that lost its state", () => {
  void it("registers the kept key again", async () => {
    const accounts = new MemoryAccounts();
    const board = await new HttpBoard().listen();
    const first = await startPebble({ nonceReject: 0, httpPort: board.port });
    let second: Pebble | null = null;
    try {
      const trustedRoots = await readFile(first.trustedRootsPath, "utf8");
      const issuer = issuerWith({ directory: first.directoryUrl, trustedRoots, board, accounts });
      await issuer.issue({ names: ["before.example.org"], replaces: null, signal: never });
      await first.stop({ keepFolder: true });
      const { folder, directoryPort, httpPort } = first;
      second = await startPebble({ nonceReject: 0, folder, directoryPort, httpPort });
      await issuer.issue({ names: ["after.example.org"], replaces: null, signal: never });
    } finally {
      await board[Symbol.asyncDispose]();
      await (second ?? first).stop();
    }
  });
});
