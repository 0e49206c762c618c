import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import { checkCertificate } from "../../src/acme/certificate.ts";
import { certificateRequest, generateCertificateKey } from "../../src/acme/certificate-request.ts";
import { AcmeProblem } from "../../src/acme/problem.ts";
import { certificateId } from "../../src/acme/renewal-info.ts";
import { parseRetryAfter } from "../../src/acme/retry-after.ts";
import { x509 } from "../../src/tls/x509.ts";
import { PaddockError } from "../../src/errors.ts";
import { FakeAuthority, HttpBoard, issuerWith, never } from "./fixtures.ts";

const request = { names: ["a.example.org"], replaces: null, signal: never };

function isPaddockError(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PaddockError, String(error));
    assert.equal(error.code, code);
    assert.notEqual(error.fix, undefined, "it says what to do");
    return true;
  };
}

/** A self-signed certificate with an authority key identifier, for renewal information. */
async function certificateFor(
  names: string[],
  serialNumber = "87654321",
): Promise<{ chain: string; key: string }> {
  const keys = await generateCertificateKey();
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const publicKey = keys.publicKey.toCryptoKey(algorithm, true, ["verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: "CN=x",
    issuer: "CN=x",
    serialNumber,
    publicKey,
    signingKey: keys.privateKey.toCryptoKey(algorithm, true, ["sign"]),
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
      new x509.AuthorityKeyIdentifierExtension("69885b6b87464041e1b37b847bd0ae2cde01c8d4"),
    ],
  });
  return {
    chain: certificate.toString("pem"),
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }),
  };
}

void describe("a CA that answers with errors", () => {
  void it("is asked again when it closed an idle connection that was reused", async () => {
    await using authority = await new FakeAuthority().start();
    let cut = 0;
    authority.routes.set("/nonce", (incoming, response) => {
      if ((cut += 1) === 1) incoming.socket.resetAndDestroy();
      else response.end();
    });
    authority.problem("/account", 403, "unauthorized");
    await assert.rejects(issuerWith({ directory: authority.directory }).issue(request), /fake unauthorized/);
  });

  void it("keeps type, detail, subproblems and Retry-After of a rate limit", async () => {
    await using authority = await new FakeAuthority().start();
    authority.json(
      "/order",
      429,
      {
        type: "urn:ietf:params:acme:error:rateLimited",
        detail: "too many certificates",
        subproblems: [
          { type: "urn:x", detail: "this one", identifier: { type: "dns", value: "a.example.org" } },
        ],
      },
      { "Retry-After": "3600" },
    );
    await assert.rejects(issuerWith({ directory: authority.directory }).issue(request), (error: unknown) => {
      assert.ok(error instanceof AcmeProblem);
      assert.equal(error.code, "acme.rateLimited");
      assert.equal(error.status, 429);
      assert.equal(error.retryAfter, 3_600_000);
      assert.deepEqual(error.subproblems, [
        { type: "urn:x", detail: "this one", identifier: "a.example.org" },
      ]);
      assert.match(error.message, /too many certificates; a\.example\.org: this one/);
      return true;
    });
  });

  void it("types a 503 of the directory, with its HTTP date", async () => {
    await using authority = await new FakeAuthority().start();
    const now = Date.UTC(2030, 0, 1);
    const clock = { now: () => now, setTimer: () => ({ cancel: () => {} }) };
    authority.json("/dir", 503, {}, { "Retry-After": new Date(now + 120_000).toUTCString() });
    await assert.rejects(
      issuerWith({ directory: authority.directory, clock }).issue(request),
      (error: unknown) => {
        assert.ok(error instanceof AcmeProblem);
        assert.deepEqual([error.status, error.retryAfter, error.code], [503, 120_000, "acme.http-503"]);
        return true;
      },
    );
  });

  void it("gives up on badNonce after a bounded number of attempts", async () => {
    await using authority = await new FakeAuthority().start();
    authority.problem("/account", 400, "badNonce");
    await assert.rejects(issuerWith({ directory: authority.directory }).issue(request), /fake badNonce/);
    assert.equal(authority.seen.filter(({ path }) => path === "/account").length, 11);
  });

  void it("refuses a directory that is no JSON, and an order without what an order has", async () => {
    await using authority = await new FakeAuthority().start();
    authority.json("/order", 201, { surprise: true }, { Location: `${authority.url}/order/1` });
    const issuer = issuerWith({ directory: authority.directory });
    await assert.rejects(issuer.issue(request), isPaddockError("acme.unexpected-response"));
    authority.routes.set("/dir", (_request, response) => response.end("<html>captive portal"));
    await assert.rejects(issuer.issue(request), isPaddockError("acme.not-a-directory"));
  });

  void it("does not read an endless response to its end", async () => {
    await using authority = await new FakeAuthority().start();
    authority.routes.set("/dir", (_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, " ");
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        response.once("drain", more);
      };
      more();
    });
    const issuer = issuerWith({ directory: authority.directory });
    await assert.rejects(issuer.issue(request), isPaddockError("acme.response-too-large"));
  });

  void it("reports a connection that is cut, a CA that is silent, and one that is not there", async () => {
    const authority = await new FakeAuthority().start();
    const issuer = issuerWith({ directory: authority.directory, requestTimeout: 50 });
    authority.routes.set("/dir", (_request, response) => void response.write("{", () => response.destroy()));
    await assert.rejects(issuer.issue(request), isPaddockError("acme.unreachable"));
    authority.routes.set("/dir", () => {});
    await assert.rejects(issuer.issue(request), isPaddockError("acme.timeout"));
    await authority[Symbol.asyncDispose]();
    await assert.rejects(issuer.issue(request), isPaddockError("acme.unreachable"));
  });

  void it("ends at once when aborted during a slow answer, with the reason of the abort", async () => {
    await using authority = await new FakeAuthority().start();
    const ending = new AbortController();
    authority.routes.set("/dir", () => ending.abort(new Error("shutting down")));
    const issuer = issuerWith({ directory: authority.directory });
    await assert.rejects(issuer.issue({ ...request, signal: ending.signal }), /shutting down/);
  });

  void it("speaks http to this machine only", async () => {
    const issuer = issuerWith({ directory: "http://ca.example.org/dir" });
    await assert.rejects(issuer.issue(request), isPaddockError("acme.insecure"));
  });
});

void describe("an order", () => {
  void it("asks for a profile only where the directory offers it", async () => {
    await using authority = await new FakeAuthority().start({ profiles: { tlsserver: "", shortlived: "" } });
    authority.problem("/order", 403, "unauthorized");
    const options = { directory: authority.directory };
    await assert.rejects(
      issuerWith({ ...options, profile: "tlsserver" }).issue(request),
      /fake unauthorized/,
    );
    const sent = authority.seen.find(({ path }) => path === "/order")?.payload;
    assert.deepEqual(sent, { identifiers: [{ type: "dns", value: "a.example.org" }], profile: "tlsserver" });
    await assert.rejects(issuerWith({ ...options, profile: "classic" }).issue(request), (error: unknown) => {
      assert.match(String(error), /it offers: tlsserver, shortlived/);
      return isPaddockError("acme.unknown-profile")(error);
    });
  });

  void it("names its predecessor, and is made without it when that was replaced already", async () => {
    await using authority = await new FakeAuthority().start({}, { renewalInfo: "/renewal" });
    authority.problem("/order", 409, "alreadyReplaced");
    const { chain } = await certificateFor(["a.example.org"]);
    const issuer = issuerWith({ directory: authority.directory });
    await assert.rejects(issuer.issue({ ...request, replaces: chain }), /alreadyReplaced/);
    const orders = authority.seen.filter(({ path }) => path === "/order").map(({ payload }) => payload);
    const identifiers = [{ type: "dns", value: "a.example.org" }];
    assert.deepEqual(orders, [{ identifiers, replaces: certificateId(chain) }, { identifiers }]);
  });

  void it("tells the CA of a challenge only once the board shows it", async () => {
    await using authority = await new FakeAuthority().start();
    const { url } = authority;
    const order = { status: "pending", finalize: `${url}/finalize`, authorizations: [`${url}/authz`] };
    authority.json("/order", 201, order, { Location: `${url}/order/1` });
    authority.json("/authz", 200, {
      status: "pending",
      identifier: { type: "dns", value: "a.example.org" },
      challenges: [{ type: "http-01", url: `${url}/challenge`, token: "tok", status: "pending" }],
    });
    const shown: string[] = [];
    authority.routes.set("/challenge", (_request, response) => {
      assert.deepEqual(shown, ["tok"]);
      response.writeHead(403).end();
    });
    const board = new HttpBoard();
    board.publish = async ({ token }) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      shown.push(token);
    };
    board.withdraw = async ({ token }) => void shown.splice(shown.indexOf(token), 1);
    await assert.rejects(
      issuerWith({ directory: authority.directory, board }).issue(request),
      /HTTP status 403/,
    );
    assert.deepEqual(shown, []);
    const last = authority.seen.at(-1);
    assert.deepEqual(
      [last?.path, last?.payload],
      ["/authz", { status: "deactivated" }],
      "the CA's quota is freed",
    );
  });

  void it("does not answer a challenge that is being processed already", async () => {
    await using authority = await new FakeAuthority().start();
    const { url } = authority;
    const order = { status: "pending", finalize: `${url}/finalize`, authorizations: [`${url}/authz`] };
    authority.json("/order", 201, order, { Location: `${url}/order/1` });
    const challenge = { type: "http-01", url: `${url}/challenge`, token: "tok" };
    let asked = 0;
    authority.routes.set("/authz", (_request, response) => {
      asked += 1;
      const error = { type: "urn:ietf:params:acme:error:dns", detail: "NXDOMAIN" };
      const pending = { status: "pending", challenges: [{ ...challenge, status: "processing" }] };
      const invalid = { status: "invalid", challenges: [{ ...challenge, status: "invalid", error }] };
      response.writeHead(200, { "Retry-After": "0" });
      response.end(
        JSON.stringify({
          identifier: { type: "dns", value: "a.example.org" },
          ...(asked < 3 ? pending : invalid),
        }),
      );
    });
    await assert.rejects(
      issuerWith({ directory: authority.directory }).issue(request),
      /a\.example\.org, http-01: NXDOMAIN/,
    );
    assert.equal(authority.seen.filter(({ path }) => path === "/challenge").length, 0);
  });
});

void describe("renewal information", () => {
  void it("makes the identifier of RFC 9773's example", async () => {
    // Appendix A of the RFC: serial 87:65:43:21, key identifier 69:88:5B:….
    const { chain } = await certificateFor(["a.example.org"]);
    assert.equal(certificateId(chain), "aYhba4dGQEHhs3uEe9CuLN4ByNQ.AIdlQyE");
  });

  void it("brings the window, the page about it and when to ask again", async () => {
    await using authority = await new FakeAuthority().start({}, { renewalInfo: "/renewal" });
    const { chain } = await certificateFor(["a.example.org"]);
    const suggestedWindow = { start: "2030-01-02T04:00:00Z", end: "2030-01-03T04:00:00Z" };
    const path = `/renewal/${certificateId(chain)}`;
    authority.json(path, 200, { suggestedWindow, explanationURL: "https://x/" }, { "Retry-After": "21600" });
    assert.deepEqual(await issuerWith({ directory: authority.directory }).renewalWindow(chain, never), {
      start: Date.UTC(2030, 0, 2, 4),
      end: Date.UTC(2030, 0, 3, 4),
      explanationUrl: "https://x/",
      retryAfter: 21_600_000,
    });
    authority.json(path, 200, {
      suggestedWindow: { start: suggestedWindow.end, end: suggestedWindow.start },
    });
    await assert.rejects(
      issuerWith({ directory: authority.directory }).renewalWindow(chain, never),
      isPaddockError("acme.unexpected-response"),
    );
  });

  void it("is null where the CA has none", async () => {
    await using authority = await new FakeAuthority().start();
    const { chain } = await certificateFor(["a.example.org"]);
    assert.equal(await issuerWith({ directory: authority.directory }).renewalWindow(chain, never), null);
  });
});

void describe("a certificate", () => {
  void it("is accepted only with the ordered key, all names, and while it lasts", async () => {
    const { chain, key } = await certificateFor(["a.example.org", "b.example.org"]);
    const privateKey = createPrivateKey(key);
    checkCertificate(chain, { names: ["A.example.org", "b.example.org"], privateKey }, Date.now());
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const refused = (names: string[], withKey: typeof other, now: number): void =>
      assert.throws(
        () => checkCertificate(chain, { names, privateKey: withKey }, now),
        isPaddockError("acme.unacceptable-certificate"),
      );
    refused(["a.example.org"], other, Date.now());
    refused(["c.example.org"], privateKey, Date.now());
    refused(["a.example.org"], privateKey, Date.now() + 4e11);
  });

  void it("is asked for with DNS names and IP addresses as subjectAltName", async () => {
    const keys = await generateCertificateKey();
    const request = new x509.Pkcs10CertificateRequest(
      await certificateRequest(["a.example.org", "2001:db8::1"], keys),
    );
    assert.ok(await request.verify());
    const names = request.extensions.find((item) => item instanceof x509.SubjectAlternativeNameExtension);
    assert.deepEqual(names?.names.toJSON(), [
      { type: "dns", value: "a.example.org" },
      { type: "ip", value: "2001:db8::1" },
    ]);
  });
});

void describe("Retry-After", () => {
  const now = Date.UTC(2030, 0, 1);
  for (const [value, expected] of [
    [undefined, null],
    ["5", 5000],
    [" 5 ", 5000],
    ["Tue, 01 Jan 2030 00:00:10 GMT", 10_000],
    ["Mon, 31 Dec 2029 00:00:00 GMT", 0],
    ["-3", null],
    ["soon", null],
    ["1e9", null],
  ] as const) {
    void it(`reads ${JSON.stringify(value)} as ${expected}`, () =>
      assert.equal(parseRetryAfter(value, now), expected));
  }
});
