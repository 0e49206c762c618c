/** From a name to its zone's servers, and the wait for a record at all of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { awaitPropagation } from "../../src/dns/propagation.ts";
import { Questions } from "../../src/dns/questions.ts";
import { finalName, zoneServers } from "../../src/dns/zone.ts";
import { PaddockError } from "../../src/errors.ts";
import { NameServer } from "../parts/name-server.ts";

const never = new AbortController().signal;
const VALUE = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const NAME = "_acme-challenge.www.example.org";

/** What a resolver says of example.org, whose name servers are at the two addresses. */
function resolver(): NameServer {
  return new NameServer()
    .set("example.org", "SOA", "ns1.example.net")
    .set("example.org", "NS", "ns1.example.net", "ns2.example.net")
    .set("ns1.example.net", "A", "127.0.0.1")
    .set("ns2.example.net", "A", "127.0.0.2")
    .set("www.example.org", "A", "192.0.2.1");
}

const asking = (server: NameServer, patience = 5000): Questions =>
  new Questions([server.address], never, { patience, tries: 1 });

/** The two name servers of the zone, on one port. */
async function pair(): Promise<[NameServer, NameServer]> {
  const first = await new NameServer().listen("127.0.0.1");
  return [first, await new NameServer().listen("127.0.0.2", first.port)];
}

const SERVERS = [
  { name: "ns1.example.net", addresses: ["127.0.0.1"] },
  { name: "ns2.example.net", addresses: ["127.0.0.2"] },
];

void describe("the zone cut", () => {
  void it("is the nearest name above with a SOA record; its name servers come with their addresses", async () => {
    await using server = await resolver().listen("127.0.0.1");
    assert.deepEqual(await zoneServers(NAME, asking(server)), SERVERS);
    server.set("www.example.org", "SOA", "ns9.example.net").set("ns9.example.net", "A", "127.0.0.9");
    const delegated = [{ name: "ns9.example.net", addresses: ["127.0.0.9"] }];
    assert.deepEqual(await zoneServers(NAME, asking(server)), delegated, "the primary, where no NS is given");
  });

  void it("is not where a CNAME leads to the top of another zone", async () => {
    await using server = await resolver().listen("127.0.0.1");
    server
      .set("www.example.org", "CNAME", "cdn.example")
      .set("cdn.example", "SOA", "ns.cdn.example")
      .set("cdn.example", "NS", "ns.cdn.example")
      .set("ns.cdn.example", "A", "127.0.0.8");
    assert.deepEqual(await zoneServers(NAME, asking(server)), SERVERS);
  });

  void it("is missed with a sentence: no zone, no address, no answer", async () => {
    await using server = await resolver().listen("127.0.0.1");
    await assert.rejects(zoneServers("_acme-challenge.a.test", asking(server)), {
      code: "dns.no-zone",
      message: "no zone has _acme-challenge.a.test in it",
    });
    server.set("ns1.example.net", "A").set("ns2.example.net", "A");
    await assert.rejects(
      zoneServers(NAME, asking(server)),
      /no name server of the zone example\.org has an address/,
    );
    for (const mood of ["refusing", "silent"] as const) {
      server.mood = mood;
      await assert.rejects(zoneServers(NAME, asking(server, 300)), (error: unknown) => {
        assert.ok(error instanceof PaddockError);
        assert.equal(error.code, "dns.no-answer");
        assert.match(
          error.message,
          /^127\.0\.0\.1:\d+: no answer about CNAME of _acme-challenge\.www\.example\.org/,
        );
        assert.match(error.fix ?? "", /dns\.resolvers/);
        return true;
      });
    }
  });

  void it("is left alone when the order is aborted", async () => {
    await using server = await resolver().listen("127.0.0.1");
    server.mood = "silent";
    const ending = new AbortController();
    const waiting = zoneServers(NAME, new Questions([server.address], ending.signal));
    setTimeout(() => ending.abort(new Error("shutting down")), 20);
    await assert.rejects(waiting, /shutting down/);
  });
});

void describe("an alias", () => {
  void it("is followed to its end, over several zones", async () => {
    await using server = await resolver().listen("127.0.0.1");
    server.set(NAME, "CNAME", "a.alias.example").set("a.alias.example", "CNAME", "b.validation.example");
    assert.equal(await finalName(NAME, asking(server)), "b.validation.example");
    assert.equal(
      await finalName("_acme-challenge.example.org", asking(server)),
      "_acme-challenge.example.org",
    );
  });

  void it("that leads back is refused with its way", async () => {
    await using server = await resolver().listen("127.0.0.1");
    server.set(NAME, "CNAME", "a.alias.example").set("a.alias.example", "CNAME", NAME);
    await assert.rejects(finalName(NAME, asking(server)), {
      code: "dns.alias-loop",
      message: `the CNAMEs of ${NAME} lead nowhere: ${NAME} → a.alias.example → ${NAME}`,
    });
  });
});

void describe("propagation", () => {
  const wait = (port: number, options: { timeout?: number; signal?: AbortSignal } = {}): Promise<void> =>
    awaitPropagation({
      name: NAME,
      value: VALUE,
      servers: SERVERS,
      timeout: 20_000,
      signal: never,
      port,
      ...options,
    });

  void it("is over when every name server has the value among others, and not before", async () => {
    const [first, second] = await pair();
    await using _one = first;
    await using _two = second;
    first.set(NAME, "TXT", "another", VALUE);
    second.set(NAME, "TXT", "another");
    let over = false;
    const waiting = wait(first.port).then(() => (over = true));
    while (second.asked.length < 3) await sleep(10);
    assert.equal(over, false);
    second.set(NAME, "TXT", "another", VALUE);
    await waiting;
    assert.equal(first.asked.length, 1, "a server that has it is not asked again");
  });

  void it("fails by its time with what each server says", async () => {
    const [first, second] = await pair();
    await using _one = first;
    await using _two = second;
    first.set(NAME, "TXT", "another");
    second.mood = "refusing";
    await assert.rejects(wait(first.port, { timeout: 600 }), (error: unknown) => {
      assert.ok(error instanceof PaddockError);
      assert.equal(error.code, "dns.not-propagated");
      assert.match(
        error.message,
        /ns1\.example\.net does not have it; ns2\.example\.net does not answer \(.*EREFUSED/,
      );
      assert.match(error.fix ?? "", /propagationTimeout/);
      return true;
    });
  });

  void it("passes over a server that never answers, once another has the value", async () => {
    const [first, second] = await pair();
    await using _one = first;
    await using _two = second;
    first.set(NAME, "TXT", VALUE);
    second.mood = "refusing";
    await wait(first.port);
    assert.equal(second.asked.length, 3);
  });

  void it("ends at once when the order is aborted", async () => {
    const [first, second] = await pair();
    await using _one = first;
    await using _two = second;
    const ending = new AbortController();
    const waiting = wait(first.port, { signal: ending.signal });
    while (first.asked.length === 0) await sleep(5);
    ending.abort(new Error("shutting down"));
    await assert.rejects(waiting, /shutting down/);
  });
});
