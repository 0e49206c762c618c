/** The look before the first order, at a real name server, real listeners and boards. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ChallengeKind } from "../../src/config/challenges.ts";
import { PaddockError } from "../../src/errors.ts";
import { NamePreflight, type NamePreflightOptions } from "../../src/supervisor/preflight/name-preflight.ts";
import { HttpBoard, never, TlsBoard } from "../acme/fixtures.ts";
import { NameServer } from "../parts/name-server.ts";
import { freePorts } from "../parts/pebble.ts";

const IDENTITIES = ["letsencrypt.org"];

void describe("the look before the first order", () => {
  let dns: NameServer;
  let board: HttpBoard;
  const servers: (HttpServer | Server)[] = [];

  beforeEach(async () => {
    dns = await new NameServer().listen("127.0.0.1");
    board = await new HttpBoard().listen();
    dns.set("example.org", "A", "127.0.0.1");
  });
  afterEach(async () => {
    await dns[Symbol.asyncDispose]();
    await board[Symbol.asyncDispose]();
    for (const server of servers.splice(0)) server.close();
  });

  const offering = (...kinds: ChallengeKind[]): void => {
    board.kindsFor = () => kinds;
  };

  const look = async (
    names: string[],
    options: Partial<NamePreflightOptions> = {},
    identities: readonly string[] = IDENTITIES,
    signal = never,
    asksAddresses = true,
  ): Promise<readonly string[]> =>
    await new NamePreflight({
      board,
      resolvers: [dns.address],
      ports: { "http-01": board.port, "tls-alpn-01": board.port },
      patience: 2_000,
      ...options,
    }).look({ names, identities, asksAddresses }, signal);

  const listening = async <T extends HttpServer | Server>(server: T, host = "127.0.0.1"): Promise<number> => {
    server.listen(0, host);
    await once(server, "listening");
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };

  const stops = async (
    outcome: Promise<unknown>,
    code: string,
    message: RegExp,
    fix: RegExp,
  ): Promise<void> => {
    await assert.rejects(outcome, (error: unknown) => {
      assert.ok(error instanceof PaddockError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.match(error.fix ?? "", fix);
      return true;
    });
  };

  void it("says nothing where a token of its own comes back, and shows it no longer", async () => {
    assert.deepEqual(await look(["example.org"]), []);
    assert.equal(board.fetched.length, 1);
    assert.match(board.fetched[0] ?? "", /^[A-Za-z0-9_-]{43}$/);
    assert.equal(board.shown.size, 0);
  });

  void it("asks each address, A and AAAA, and names port and address of what fails", async () => {
    const [shut] = (await freePorts(1)) as [number];
    dns.set("example.org", "A", "127.0.0.1", "127.0.0.2");
    dns.set("example.org", "AAAA", "::1");
    const warnings = await look(["example.org"]);
    assert.equal(warnings.length, 2);
    // The board listens at 127.0.0.1 alone.
    assert.equal(
      warnings[0],
      `example.org, A 127.0.0.2, port ${board.port}: connection refused; remove the A record or open the port`,
    );
    assert.match(
      warnings[1] ?? "",
      /^example\.org, AAAA ::1, port \d+: (connection refused; remove the AAAA record or open the port|no way to it from here; .*)$/,
    );
    const all = await look(["example.org"], { ports: { "http-01": shut, "tls-alpn-01": shut } });
    assert.equal(all.length, 3);
  });

  void it("asks by the public name, and for the address itself where that is the name", async () => {
    const hosts: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      hosts.push(request.headers.host);
      response.end(board.shown.get(request.url?.split("/").at(-1) ?? ""));
    });
    const port = await listening(server);
    const ports = { "http-01": port, "tls-alpn-01": port };
    assert.deepEqual(await look(["example.org", "127.0.0.1"], { ports }), []);
    assert.deepEqual(new Set(hosts), new Set(["127.0.0.1", "example.org"]));
    assert.ok(!dns.asked.some((question) => question.startsWith("127.")), "an address has no records");
  });

  const answers: readonly (readonly [string, (response: ServerResponse) => void, RegExp])[] = [
    [
      "another page",
      (response) => void response.setHeader("server", "nginx").end("<h1>Router</h1>"),
      /another server answered \(status 200, server nginx\); let the A record lead to this machine/,
    ],
    ["not found", (response) => void response.writeHead(404).end(), /another server answered \(status 404\)/],
    [
      "somewhere else",
      (response) => void response.writeHead(301, { location: "https://cdn.example/x" }).end(),
      /another server answered \(status 301, to https:\/\/cdn\.example\/x\)/,
    ],
    ["a stream without an end", endless, /another server answered/],
    ["nothing", () => {}, /no answer; remove the A record or open the port/],
    ["a cut", (response) => void response.destroy(), /socket hang up|the connection was cut/],
  ];
  for (const [what, answer, expected] of answers)
    void it(`does not stop the order where ${what} is answered, and says so`, async () => {
      const port = await listening(createServer((_, response) => answer(response)));
      const warnings = await look(["example.org"], {
        ports: { "http-01": port, "tls-alpn-01": port },
        patience: 400,
      });
      for (const server of servers) if ("closeAllConnections" in server) server.closeAllConnections();
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? "", expected);
    });

  void it("shakes hands as a CA does where tls-alpn-01 may be used", async () => {
    await using tls = await new TlsBoard().listen();
    const deaf = await listening(
      createTcpServer((socket) => socket.end("220 mail\r\n").on("error", () => {})),
    );
    assert.deepEqual(
      await look(["example.org"], { board: tls, ports: { "http-01": 0, "tls-alpn-01": tls.port } }),
      [],
    );
    const [warning] = await look(["example.org"], {
      board: tls,
      ports: { "http-01": 0, "tls-alpn-01": deaf },
    });
    assert.match(warning ?? "", /example\.org, A 127\.0\.0\.1, port \d+: another server answered/);
  });

  void it("asks the DNS alone where a handshake waits, and stops by it all the same", async () => {
    const deaf = await listening(createTcpServer());
    const ports = { "http-01": deaf, "tls-alpn-01": deaf };
    dns.set("quick.example.org", "A", "127.0.0.1");
    assert.deepEqual(await look(["quick.example.org"], { ports }, IDENTITIES, never, false), []);
    await stops(
      look(["nowhere.example.org"], { ports }, IDENTITIES, never, false),
      "preflight.no-address",
      /^nowhere\.example\.org has no A and no AAAA record$/,
      /Add one with this machine's public address/,
    );
  });

  void it("stops the order of a name without addresses, since the CA will not find one either", async () => {
    dns.set("other.example.org", "TXT", "x");
    for (const name of ["other.example.org", "nowhere.example.org"])
      await stops(
        look(["example.org", name]),
        "preflight.no-address",
        new RegExp(`^${name.replaceAll(".", "\\.")} has no A and no AAAA record$`),
        /Add one with this machine's public address/,
      );
    offering("http-01", "dns-01");
    assert.match((await look(["other.example.org"])).join(), /it can be proven by dns-01 only/);
    offering("dns-01");
    assert.deepEqual(await look(["*.example.org", "other.example.org"]), []);
  });

  void it("warns where name servers give no answer, since the CA asks others", async () => {
    dns.mood = "refusing";
    const warnings = await look(["example.org"]);
    assert.equal(warnings.length, 2);
    for (const warning of warnings)
      assert.match(
        warning,
        /example\.org: 127\.0\.0\.1:\d+: no answer about (CAA|A|AAAA) of example\.org \(EREFUSED\)/,
      );
  });

  void it("ends when the order is ended", async () => {
    dns.mood = "silent";
    const ending = new AbortController();
    const outcome = look(["example.org"], {}, IDENTITIES, ending.signal);
    ending.abort(new Error("shutting down"));
    await assert.rejects(outcome, /shutting down/);
  });

  const caa: readonly (readonly [string, readonly (readonly [string, string[]])[], string, RegExp | null])[] =
    [
      ["a record for this CA", [["example.org", ["0 issue letsencrypt.org"]]], "example.org", null],
      ["a critical one for this CA", [["example.org", ["128 issue letsencrypt.org"]]], "example.org", null],
      [
        "one of several",
        [["example.org", ["0 issue ca.example", "0 issue LetsEncrypt.org; a=b"]]],
        "example.org",
        null,
      ],
      [
        "a record for another one",
        [["example.org", ["0 issue ca.example"]]],
        "example.org",
        /^example\.org: the CAA record of example\.org allows issue "ca\.example" only, and this CA is letsencrypt\.org$/,
      ],
      [
        "a record of a name above",
        [["example.org", ["0 issue ;"]]],
        "a.b.example.org",
        /^a\.b\.example\.org: the CAA record of example\.org allows issue ";" only/,
      ],
      [
        "a nearer record",
        [
          ["example.org", ["0 issue ;"]],
          ["b.example.org", ["0 issue letsencrypt.org"]],
        ],
        "a.b.example.org",
        null,
      ],
      ["only a contact", [["example.org", ["0 iodef mailto:a@example.org"]]], "example.org", null],
      ["issuewild, of a name that is none", [["example.org", ["0 issuewild ;"]]], "example.org", null],
      [
        "issuewild, of a wildcard",
        [["example.org", ["0 issue letsencrypt.org", "0 issuewild ;"]]],
        "*.example.org",
        /allows issuewild ";" only/,
      ],
      ["issue alone, of a wildcard", [["example.org", ["0 issue letsencrypt.org"]]], "*.example.org", null],
      [
        "a critical property that is unknown",
        [["example.org", ["128 tbs x", "0 issue letsencrypt.org"]]],
        "example.org",
        /critical property that CAs do not know: tbs/,
      ],
      [
        "a method that is used",
        [["example.org", ["0 issue letsencrypt.org; validationmethods=dns-01,http-01"]]],
        "example.org",
        null,
      ],
      [
        "a method that is not used",
        [["example.org", ["0 issue letsencrypt.org; validationmethods=dns-account-01"]]],
        "example.org",
        /the challenges here are http-01, dns-01/,
      ],
    ];
  for (const [what, records, name, expected] of caa)
    void it(`reads CAA: ${what} ${expected === null ? "lets the order go on" : "stops it"}`, async () => {
      offering("http-01", "dns-01");
      dns.set("a.b.example.org", "A", "127.0.0.1");
      for (const [owner, values] of records) dns.set(owner, "CAA", ...values);
      if (expected === null) await look([name]);
      else
        await stops(
          look([name]),
          "preflight.caa",
          expected,
          /^Add `example\.org\. CAA 0 issue(wild)? "letsencrypt\.org"`/,
        );
      assert.ok(dns.asked.includes(`${name.replace("*.", "")} CAA`));
    });

  void it("does not ask for CAA where the CA does not say what it answers to", async () => {
    dns.set("example.org", "CAA", "0 issue ;");
    assert.deepEqual(await look(["example.org"], {}, []), []);
    assert.ok(!dns.asked.some((question) => question.endsWith(" CAA")));
  });
});

function endless(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write("x".repeat(1000)));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
}
