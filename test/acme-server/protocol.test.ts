import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdirSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FlattenedSign } from "jose";
import { certificateRequest, generateCertificateKey } from "../../src/acme/certificate-request.ts";
import { HttpBoard } from "../acme/fixtures.ts";
import { freePorts } from "../parts/pebble.ts";
import { Paddock } from "../parts/paddock.ts";
import { Client, ecKey, type AcmeAnswer, type Key, type Oddities } from "./client.ts";

/** A machine's way through the whole protocol, by hand. */
void describe("the ACME server", () => {
  let paddock: Paddock;
  let base: string;
  let ca: Buffer;
  let httpPort: number;
  let port: number;

  const yaml = (): string => `issuers: [{ local: true }]
localCA:
  acme: { listen: "127.0.0.1:${port}", hosts: [127.0.0.1, ca.internal], httpPort: ${httpPort}, names: ["*.internal", "127.0.0.1", "only.example.org"] }
sites: [{ names: [localhost], static: { /: "/usr/share/doc/base-files/" } }]`;

  before(async () => {
    [httpPort, port] = (await freePorts(2)) as [number, number];
    base = `https://127.0.0.1:${port}`;
    paddock = await Paddock.start({ workers: 1, hosts: "127.0.0.1 localhost db.internal\n", yaml });
    ca = await readFile(paddock.rootPath);
  });

  after(async () => {
    await paddock?.stop();
  });

  const client = async (key?: Key): Promise<Client> => {
    const made = new Client(base, ca, key);
    assert.equal((await made.register(["mailto:ops@example.org"])).status, 201);
    return made;
  };
  const order = async (on: Client, ...names: string[]): Promise<AcmeAnswer> =>
    await on.post("/acme/new-order", {
      identifiers: names.map((value) => ({ type: /^[\d.]+$/.test(value) ? "ip" : "dns", value })),
    });
  /** Proves 127.0.0.1 and returns the order's answer, ready. */
  const ready = async (on: Client, board: HttpBoard, name = "127.0.0.1"): Promise<AcmeAnswer> => {
    const made = await order(on, name);
    assert.equal(made.status, 201, made.text);
    const [authorization = ""] = made.body["authorizations"] as string[];
    const { body } = await on.post(authorization, null);
    const [challenge] = body["challenges"] as { url: string; token: string }[];
    assert.ok(challenge !== undefined);
    const { calculateJwkThumbprint } = await import("jose");
    const { token } = challenge;
    const keyAuthorization = `${token}.${await calculateJwkThumbprint(on.jwk)}`;
    await board.publish({ kind: "http-01", name, token, keyAuthorization }, AbortSignal.timeout(10_000));
    await on.post(challenge.url, {});
    const url = String(made.headers.location);
    for (let tries = 0; tries < 200; tries++) {
      const now = await on.post(url, null);
      if (now.body["status"] !== "pending") return now;
      await sleep(50);
    }
    throw new Error("the order stayed pending");
  };
  const csr = async (...names: string[]): Promise<string> =>
    (await certificateRequest(names, await generateCertificateKey())).toString("base64url");

  void it("refuses what is not signed as RFC 8555 says, each with its problem", async () => {
    const on = await client();
    const other = ecKey();
    const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const cases: readonly (readonly [string, Oddities, number, string])[] = [
      ["a nonce from elsewhere", { nonce: "AAAAAAAAAAAAAAAAAAAAAA" }, 400, "badNonce"],
      ["a nonce that is none", { header: { nonce: 5 } }, 400, "badNonce"],
      ["another url", { url: `${base}/acme/new-account` }, 403, "unauthorized"],
      ["a url of another host", { url: `https://evil.internal:${port}/acme/new-order` }, 403, "unauthorized"],
      ["kid and jwk", { header: { jwk: on.jwk } }, 400, "malformed"],
      ["neither kid nor jwk", { header: { kid: undefined } }, 400, "malformed"],
      [
        "an unknown account",
        { kid: `${base}/acme/account/AAAAAAAAAAAAAAAAAAAAAA` },
        400,
        "accountDoesNotExist",
      ],
      [
        "an account of another host",
        { kid: on.kid?.replace("127.0.0.1", "evil.test") ?? "" },
        400,
        "accountDoesNotExist",
      ],
      ["a kid that is no URL", { kid: "1" }, 400, "accountDoesNotExist"],
      ["crit", { header: { b64: true } }, 400, "malformed"],
      [
        "a spoilt signature",
        { spoil: (jws) => ({ ...jws, signature: "A".repeat(86) }) },
        403,
        "unauthorized",
      ],
      ["another payload", { spoil: (jws) => ({ ...jws, payload: "e30" }) }, 403, "unauthorized"],
      [
        "alg none",
        { spoil: (jws) => ({ ...jws, protected: withAlg(jws, "none") }) },
        400,
        "badSignatureAlgorithm",
      ],
      [
        "alg HS256",
        { spoil: (jws) => ({ ...jws, protected: withAlg(jws, "HS256") }) },
        400,
        "badSignatureAlgorithm",
      ],
      [
        "alg of another key",
        { spoil: (jws) => ({ ...jws, protected: withAlg(jws, "RS256") }) },
        400,
        "badSignatureAlgorithm",
      ],
      [
        "alg __proto__",
        { spoil: (jws) => ({ ...jws, protected: withAlg(jws, "__proto__") }) },
        400,
        "badSignatureAlgorithm",
      ],
      ["an unprotected header", { spoil: (jws) => ({ ...jws, header: {} }) }, 400, "malformed"],
      ["two signatures", { spoil: (jws) => ({ ...jws, signatures: [] }) }, 400, "malformed"],
      ["padding", { spoil: (jws) => ({ ...jws, payload: `${String(jws["payload"])}=` }) }, 400, "malformed"],
      ["a list", { spoil: (jws) => [jws] }, 400, "malformed"],
      ["nothing in it", { spoil: () => ({}) }, 400, "malformed"],
      ["another media type", { contentType: "application/json" }, 415, "malformed"],
      ["a host that it is not called", { host: "evil.test" }, 421, "malformed"],
      [
        "a key that is too short",
        { kid: null, header: { jwk: rsa.publicKey.export({ format: "jwk" }) } },
        400,
        "badPublicKey",
      ],
      [
        "a private key",
        { kid: null, header: { jwk: other.privateKey.export({ format: "jwk" }) } },
        400,
        "badPublicKey",
      ],
      ["a symmetric key", { kid: null, header: { jwk: { kty: "oct", k: "AAAA" } } }, 400, "badPublicKey"],
      ["a key that is none", { kid: null, header: { jwk: 7 } }, 400, "badPublicKey"],
      [
        "somebody else's jwk",
        { kid: null, header: { jwk: other.publicKey.export({ format: "jwk" }) } },
        403,
        "unauthorized",
      ],
      ["no account", { kid: null }, 400, "malformed"],
    ];
    for (const [what, odd, status, problem] of cases) {
      const answer = await on.post("/acme/new-order", { identifiers: [] }, odd);
      assert.deepEqual([answer.status, answer.problem], [status, problem], `${what}: ${answer.text}`);
      assert.equal(answer.headers["content-type"], "application/problem+json", what);
      assert.match(answer.headers["replay-nonce"] as string, /^[A-Za-z0-9_-]{22}$/, what);
    }
    const nonce = await on.nonce();
    assert.equal((await on.post(on.kid ?? "", null, { nonce })).status, 200);
    assert.equal((await on.post(on.kid ?? "", null, { nonce })).problem, "badNonce");
  });

  void it("refuses other bodies, methods and paths, and goes on", async () => {
    const on = await client();
    const big = await on
      .raw("POST", "/acme/new-account", JSON.stringify({ payload: "A".repeat(70_000) }))
      .catch((error: NodeJS.ErrnoException) => ({ status: error.code }));
    assert.ok([413, "EPIPE", "ECONNRESET"].includes(big.status as number | string), String(big.status));
    for (const body of [
      "",
      "{",
      "null",
      '"x"',
      "[]",
      "\u0000",
      "{}",
      '{"protected":"AA","payload":"","signature":""}',
    ])
      assert.equal((await on.raw("POST", "/acme/new-account", body)).problem, "malformed", body);
    assert.equal((await on.raw("GET", "/acme/new-order")).status, 405);
    assert.equal((await on.raw("PUT", "/directory")).status, 405);
    for (const path of [
      "/acme/order/../../directory",
      "/acme/order/AAAAAAAAAAAAAAAAAAAAAA",
      "/acme/constructor",
      "/",
    ])
      assert.equal((await on.post(path, null, { url: base + path })).status, 404, path);
    // Not HTTP at all, and a connection that says nothing, must not be what ends it.
    connect(port, "127.0.0.1")
      .on("error", () => undefined)
      .end("GET / HTTP/1.1\r\n\r\n");
    const directory = await on.raw("GET", "/directory");
    assert.deepEqual(Object.keys(directory.body), [
      "newNonce",
      "newAccount",
      "newOrder",
      "revokeCert",
      "keyChange",
      "meta",
    ]);
    assert.equal(directory.headers["replay-nonce"], undefined);
    assert.equal((await on.raw("GET", "/acme/new-nonce")).status, 204);
  });

  void it("keeps accounts: the same key is the same account, contacts, key change, end", async () => {
    const on = await client();
    const again = await on.post("/acme/new-account", {}, { kid: null });
    assert.deepEqual([again.status, again.headers.location], [200, on.kid]);
    const stranger = new Client(base, ca);
    const none = await stranger.post("/acme/new-account", { onlyReturnExisting: true });
    assert.equal(none.problem, "accountDoesNotExist");
    for (const [contact, problem] of [
      [["tel:+1"], "unsupportedContact"],
      [["mailto:a@b.example,c@d.example"], "invalidContact"],
      [["mailto:a@b.example?subject=x"], "invalidContact"],
      [["a".repeat(255)], "invalidContact"],
      ["mailto:a@b.example", "invalidContact"],
    ] as const)
      assert.equal((await stranger.post("/acme/new-account", { contact })).problem, problem, String(contact));
    const changed = await on.post(on.kid ?? "", { contact: ["mailto:new@example.org"] });
    assert.deepEqual(changed.body["contact"], ["mailto:new@example.org"]);

    const next = ecKey();
    const inner = async (payload: object, key = next, header: object = {}): Promise<object> =>
      await new FlattenedSign(new TextEncoder().encode(JSON.stringify(payload)))
        .setProtectedHeader({
          alg: "ES256",
          url: `${base}/acme/key-change`,
          jwk: key.publicKey.export({ format: "jwk" }),
          ...header,
        })
        .sign(key.privateKey);
    const wish = { account: on.kid, oldKey: on.jwk };
    const refusals: readonly (readonly [string, object])[] = [
      ["malformed", await inner({ ...wish, oldKey: next.publicKey.export({ format: "jwk" }) })],
      ["malformed", await inner(wish, next, { url: `${base}/acme/new-order` })],
      ["malformed", await inner(wish, next, { nonce: await on.nonce() })],
      ["accountDoesNotExist", await inner({ ...wish, account: `${base}/acme/account/x` })],
      ["malformed", await inner(wish, on.key)],
    ];
    for (const [problem, payload] of refusals)
      assert.equal((await on.post("/acme/key-change", payload)).problem, problem);
    assert.equal((await on.post("/acme/key-change", await inner(wish))).status, 200);
    assert.equal((await on.post(on.kid ?? "", null)).problem, "unauthorized", "the old key");
    const successor = new Client(base, ca, next);
    successor.kid = on.kid;
    assert.equal((await successor.post(on.kid ?? "", null)).status, 200);
    const ended = await successor.post(on.kid ?? "", { status: "deactivated" });
    assert.equal(ended.body["status"], "deactivated");
    assert.equal((await successor.post(on.kid ?? "", null)).problem, "unauthorized");
    assert.equal((await successor.post("/acme/new-account", {}, { kid: null })).problem, "unauthorized");
  });

  void it("takes orders for its own names only", async () => {
    const on = await client();
    const refused = async (identifiers: unknown): Promise<string | undefined> =>
      (await on.post("/acme/new-order", { identifiers })).problem;
    for (const value of [
      "example.org",
      "www.only.example.org",
      "internal",
      "internal.example.org",
      "notinternal",
      "*.internal",
      "*.db.internal",
      "db.internal.",
      "db..internal",
      ".internal",
      "-a.internal",
      "a_b.internal",
      "db.internal\u0000.example.org",
      "dﬀ.internal",
      "127.0.0.1",
      "",
      "localhost",
      `${"a.".repeat(130)}internal`,
    ])
      assert.equal(await refused([{ type: "dns", value }]), "rejectedIdentifier", value);
    for (const value of ["127.0.0.2", "::1", "127.1", "0x7f000001", "fe80::1%lo"])
      assert.equal(await refused([{ type: "ip", value }]), "rejectedIdentifier", value);
    assert.equal(await refused([{ type: "email", value: "a@b.internal" }]), "unsupportedIdentifier");
    for (const identifiers of [[], "db.internal", undefined, [null], Array.from({ length: 21 }, () => ({}))])
      assert.match((await refused(identifiers)) ?? "", /malformed|unsupportedIdentifier/);
    assert.equal(
      (
        await on.post("/acme/new-order", {
          identifiers: [{ type: "dns", value: "a.internal" }],
          notAfter: "2099-01-01T00:00:00Z",
        })
      ).problem,
      "malformed",
    );
    const one = await order(on, "DB.internal", "db.internal", "only.example.org");
    assert.deepEqual(one.body["identifiers"], [
      { type: "dns", value: "db.internal" },
      { type: "dns", value: "only.example.org" },
    ]);
    const list = await on.post(`${on.kid}/orders`, null);
    assert.deepEqual(list.body["orders"], [one.headers.location]);
  });

  void it("shows nobody what is another account's", async () => {
    const [mine, other] = [await client(), await client()];
    const { body, headers } = await order(mine, "db.internal");
    const location = String(headers.location);
    const [authorization = ""] = body["authorizations"] as string[];
    for (const url of [
      location,
      authorization,
      authorization.replace("authorization", "challenge"),
      location.replace("order", "certificate"),
    ])
      assert.equal((await other.post(url, null)).status, 404, url);
    assert.equal((await other.post(`${location}/finalize`, { csr: await csr("db.internal") })).status, 404);
    assert.equal((await other.post(mine.kid ?? "", null)).problem, "unauthorized");
    assert.equal((await other.post(`${mine.kid}/orders`, null)).problem, "unauthorized");
    assert.equal((await mine.post(location, null)).status, 200);
  });

  void it("issues only what was proven, for a request of exactly these names and a good key", async () => {
    await using board = await new HttpBoard().listen("127.0.0.1", httpPort);
    const on = await client();
    const early = await order(on, "db.internal");
    assert.equal(
      (await on.post(`${early.headers.location}/finalize`, { csr: await csr("db.internal") })).problem,
      "orderNotReady",
    );

    const made = await ready(on, board);
    assert.equal(made.body["status"], "ready", made.text);
    const finalize = String(made.body["finalize"]);
    const account = await certificateRequest(["127.0.0.1"], on.key);
    const spoilt = Buffer.from(await csr("127.0.0.1"), "base64url");
    spoilt[spoilt.length - 5] = (spoilt.at(-5) ?? 0) ^ 0xff;
    for (const request of [
      await csr("127.0.0.2"),
      await csr("127.0.0.1", "db.internal"),
      await csr("db.internal"),
      account.toString("base64url"),
      spoilt.toString("base64url"),
      "AAAA",
      "",
      5,
      undefined,
      "A".repeat(17_000),
    ])
      assert.equal(
        (await on.post(finalize, { csr: request })).problem,
        "badCSR",
        String(request).slice(0, 40),
      );
    const request = await csr("127.0.0.1");
    const both = await Promise.all([
      on.post(finalize, { csr: request }),
      on.post(finalize, { csr: request }),
    ]);
    assert.deepEqual(
      both.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 403],
      "one order, one certificate",
    );
    const done = await on.post(String(made.headers.location), null);
    const chain = await on.post(String(done.body["certificate"]), null);
    assert.equal(chain.headers["content-type"], "application/pem-certificate-chain");
    const leaf = new X509Certificate(chain.text);
    const intermediate = new X509Certificate(chain.text.split(/(?<=-----END CERTIFICATE-----\n)/)[1] ?? "");
    assert.equal(leaf.checkIP("127.0.0.1"), "127.0.0.1");
    assert.ok(leaf.verify(intermediate.publicKey) && intermediate.verify(new X509Certificate(ca).publicKey));

    const revoke = (by: Client, members: object): Promise<AcmeAnswer> =>
      by.post("/acme/revoke-cert", { certificate: leaf.raw.toString("base64url"), ...members });
    assert.equal((await revoke(await client(), {})).problem, "unauthorized");
    assert.equal((await revoke(on, { reason: 6 })).problem, "badRevocationReason");
    assert.equal((await revoke(on, { reason: "1" })).problem, "badRevocationReason");
    assert.equal(
      (await revoke(on, { certificate: intermediate.raw.toString("base64url") })).problem,
      "unauthorized",
    );
    assert.equal((await revoke(on, { reason: 4 })).status, 200);
    assert.equal((await revoke(on, { reason: 4 })).problem, "alreadyRevoked");
  });

  void it("does not believe a wrong answer, a redirect, a long one, or none", async () => {
    const on = await client();
    const outcomes: string[] = [];
    const answers: readonly ((response: import("node:http").ServerResponse) => void)[] = [
      (response) => response.end("token.thumbprint"),
      (response) => response.writeHead(302, { Location: "http://127.0.0.1/secret" }).end(),
      (response) => response.end("x".repeat(5000)),
      (response) => response.writeHead(500).end("a secret of the network"),
    ];
    for (const answer of answers) {
      const server = createServer((_request, response) => answer(response));
      await new Promise<void>((resolve) => server.listen(httpPort, "127.0.0.1", resolve));
      outcomes.push(await failing(on));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    outcomes.push(await failing(on));
    assert.deepEqual(
      outcomes.map((text) => /"urn:ietf:params:acme:error:(\w+)"/.exec(text)?.[1]),
      ["incorrectResponse", "incorrectResponse", "incorrectResponse", "incorrectResponse", "connection"],
    );
    assert.doesNotMatch(outcomes.join(), /secret|token\.thumbprint/);
  });

  async function failing(on: Client): Promise<string> {
    const made = await order(on, "127.0.0.1");
    const [authorization = ""] = made.body["authorizations"] as string[];
    await on.post(authorization.replace("authorization", "challenge"), {});
    for (let tries = 0; tries < 200; tries++) {
      const now = await on.post(authorization, null);
      if (now.body["status"] !== "pending") {
        assert.equal((await on.post(String(made.headers.location), null)).body["status"], "invalid");
        return now.text;
      }
      await sleep(100);
    }
    throw new Error("the authorization stayed pending");
  }

  void it("knows its accounts and orders after kill -9 of its process and of the daemon", async () => {
    await using board = await new HttpBoard().listen("127.0.0.1", httpPort);
    const on = await client();
    const made = await ready(on, board);
    const server = (await childrenOf(paddock.pid)).find(({ command }) =>
      command.includes("acme-server/main"),
    );
    assert.ok(server !== undefined);
    process.kill(server.pid, "SIGKILL");
    await paddock.until("the ACME server to be back", async () => {
      const answer = await on.post(String(made.headers.location), null).catch(() => null);
      return answer?.body["status"] === "ready";
    });
    const { folder } = paddock;
    process.kill(paddock.pid, "SIGKILL");
    await paddock.stop({ keepFolder: true });
    mkdirSync(folder, { recursive: true });
    paddock = await Paddock.start({ workers: 1, folder, hosts: "127.0.0.1 localhost db.internal\n", yaml });
    const finalized = await on.post(String(made.body["finalize"]), { csr: await csr("127.0.0.1") });
    assert.equal(finalized.body["status"], "valid", finalized.text);
    const files = await readdir(join(folder, "store/acme-server/orders"));
    assert.ok(
      files.length > 0 && files.every((name) => /^[A-Za-z0-9_-]{22}\.json$/.test(name)),
      files.join(),
    );
  });

  void it("limits orders and accounts, with the time to wait", async () => {
    const on = await client();
    let limited: AcmeAnswer | null = null;
    for (let tries = 0; tries < 40 && limited === null; tries++) {
      const stranger = new Client(base, ca);
      const answer = await stranger.register();
      if (answer.status === 429) limited = answer;
      else assert.equal(answer.status, 201);
    }
    assert.equal(limited?.problem, "rateLimited");
    assert.ok(Number(limited?.headers["retry-after"]) > 0);
    assert.equal((await on.post(on.kid ?? "", null)).status, 200, "who has one is not held up");
  });

  void it("lets in only its clients, and a reload changes names and clients or nothing", async () => {
    const shut = new Client(base, ca);
    await paddock.edit((text) => text.replace("httpPort:", 'clients: ["10.9.8.7"], httpPort:'));
    assert.equal((await paddock.command("reload")).code, 0);
    await assert.rejects(shut.raw("GET", "/directory"), /ECONNRESET|socket hang up|disconnected/);
    await paddock.edit((text) => text.replace(`"127.0.0.1:${port}"`, `"127.0.0.1:${paddock.adminPort}"`));
    const refused = await paddock.command("reload");
    assert.match(refused.stderr, /localCA\.acme\.listen: .* is taken by another listener/);
    await paddock.edit((text) =>
      text
        .replace(`listen: "127.0.0.1:${paddock.adminPort}", hosts`, `listen: "127.0.0.1:${port}", hosts`)
        .replace('clients: ["10.9.8.7"], ', ""),
    );
    assert.equal((await paddock.command("reload")).code, 0);
    assert.equal((await shut.raw("GET", "/directory")).status, 200);
    await paddock.edit((text) => text.replace(/ {2}acme: \{.*\}\n/, "  acme: false\n"));
    assert.equal((await paddock.command("reload")).code, 0);
    await assert.rejects(shut.raw("GET", "/directory"), { code: "ECONNREFUSED" });
  });
});

function withAlg(jws: Record<string, unknown>, alg: string): string {
  const header = JSON.parse(Buffer.from(String(jws["protected"]), "base64url").toString()) as object;
  return Buffer.from(JSON.stringify({ ...header, alg })).toString("base64url");
}

async function childrenOf(pid: number): Promise<{ pid: number; command: string }[]> {
  const list = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ");
  return await Promise.all(
    list
      .filter((child) => child !== "")
      .map(async (child) => ({
        pid: Number(child),
        command: (await readFile(`/proc/${child}/cmdline`, "utf8")).replaceAll("\0", " "),
      })),
  );
}
