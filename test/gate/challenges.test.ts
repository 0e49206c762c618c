/** The whole daemon and Pebble, with each kind of challenge validated for real, and one that fails after another. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "node:tls";
import { TestHook } from "../parts/dns-hook.ts";
import { Paddock, type PaddockOptions } from "../parts/paddock.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";

interface Line {
  readonly state?: string;
  readonly certificate?: string;
  readonly msg?: string;
}

/** The daemon's log lines about certificates. */
function linesOf(paddock: Paddock): Line[] {
  return paddock.output
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
}

const issued = (paddock: Paddock, name: string): number =>
  linesOf(paddock).filter(({ certificate, msg = "" }) => certificate === name && msg.includes(" issued, "))
    .length;

const failures = (paddock: Paddock): string[] =>
  linesOf(paddock).flatMap(({ state, msg = "" }) => (state === "failing" ? [msg] : []));

/** Certificates of Pebble alone; `keys` are at the top level, `names` make a site each. */
function yaml(pebble: Pebble, keys: string, ...names: string[]): string {
  const sites = names.map((list) => `  - { names: [${list}], static: { /static/: . } }`);
  return `issuers:\n  - { acme: "${pebble.directoryUrl}", trustedRoots: ${pebble.trustedRootsPath} }
${keys}
sites:
${sites.join("\n")}`;
}

async function withDaemon(options: PaddockOptions, test: (paddock: Paddock) => Promise<void>): Promise<void> {
  const paddock = await Paddock.start({ workers: 1, ...options });
  try {
    await test(paddock);
  } finally {
    assert.equal(await paddock.stop(), 0);
  }
}

/** What the listener serves for `host`, validated up to Pebble's root. */
async function servedBy(paddock: Paddock, pebble: Pebble, host: string): Promise<number> {
  const ca = await pebble.issuingRoot();
  return (await paddock.get("/", { host, ca })).status;
}

void describe("with port 80 shut", () => {
  void it("tls-alpn-01 proves names in every worker, while the sites go on", async () => {
    const pebble = await startPebble();
    try {
      const names = ["tls.example.org, www.tls.example.org", "other.example.org"];
      await withDaemon(
        { yaml: () => yaml(pebble, "", ...names), httpPort: null, httpsPort: pebble.tlsPort, workers: 3 },
        async (paddock) => {
          await paddock.until("both", () =>
            ["tls.example.org", "other.example.org"].every((n) => issued(paddock, n) === 1),
          );
          assert.equal(await servedBy(paddock, pebble, "www.tls.example.org"), 404);
          assert.equal(await servedBy(paddock, pebble, "other.example.org"), 404);
          assert.deepEqual(failures(paddock), []);
          const port = paddock.httpsPort;
          const client = connect({ port, servername: "tls.example.org", ALPNProtocols: ["acme-tls/1"] });
          await assert.rejects(once(client, "secureConnect"), /no application protocol/i);
        },
      );
    } finally {
      await pebble.stop();
    }
  });
});

void describe("dns-01", () => {
  let pebble: Pebble;
  let folder: string;
  before(async () => {
    pebble = await startPebble();
    folder = await mkdtemp(join(tmpdir(), "paddock-dns-"));
  });
  after(async () => {
    await pebble.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const keys = (hook: TestHook, more = ""): string => `challenges: [dns-01]
dns: { hook: ${hook.program}, resolvers: ["${pebble.dnsAddress}"], nameServers: ["${pebble.dnsAddress}"]${more} }`;

  /** A folder of its own for each hook, so that its calls are its own. */
  const hookWith = async (script = ""): Promise<TestHook> =>
    await TestHook.write(await mkdtemp(join(folder, "hook-")), pebble, script);

  void it("proves a name and its wildcard at once, and follows CNAMEs", async () => {
    const hook = await hookWith();
    await pebble.dns("set-cname", {
      host: "_acme-challenge.alias.example.org.",
      target: "alias.validation.example.",
    });
    const sites = ['dns.example.org, "*.dns.example.org"', "alias.example.org"];
    await withDaemon({ yaml: () => yaml(pebble, keys(hook), ...sites), httpPort: null }, async (paddock) => {
      await paddock.until("both", () =>
        ["dns.example.org", "alias.example.org"].every((n) => issued(paddock, n) === 1),
      );
      assert.equal(await servedBy(paddock, pebble, "any.dns.example.org"), 404);
      assert.equal(await servedBy(paddock, pebble, "alias.example.org"), 404);
      assert.deepEqual(failures(paddock), []);
    });
    const { presented, cleaned } = await hook.balance();
    assert.deepEqual(
      presented.map((line) => line.split(" ")[0]),
      ["_acme-challenge.dns.example.org", "_acme-challenge.dns.example.org", "alias.validation.example"],
    );
    assert.equal(new Set(presented).size, 3, "two values at one name");
    assert.deepEqual(cleaned, presented);
  });

  const cases: readonly {
    readonly what: string;
    readonly script: string;
    readonly more: string;
    readonly expected: RegExp;
  }[] = [
    {
      what: "a hook that fails, with what it said",
      script: 'test $action != present || { echo "API key rejected" >&2; exit 3; }',
      more: "",
      expected:
        /hook\.example\.org, dns-01: dns\.hook .* present _acme-challenge\.hook\.example\.org ended with code 3: API key rejected\. Run it by hand/,
    },
    {
      what: "a hook that hangs",
      script: "test $action != present || sleep 600",
      more: ", hookTimeout: 5s",
      expected: /hook\.example\.org, dns-01: dns\.hook .* did not end within 5 s, and said nothing\./,
    },
    {
      what: "a record that does not come",
      script: "test $action != present || exit 0",
      more: ", propagationTimeout: 1s",
      expected:
        /dns-01: the TXT record _acme-challenge\.hook\.example\.org was not at all name servers within 1 s: 127\.0\.0\.1:\d+ does not have it\./,
    },
    {
      what: "a record that the CA does not see, where nobody waits for it",
      script: "test $action != present || exit 0",
      more: ", propagationTimeout: 0s",
      expected: /hook\.example\.org, dns-01: .*The CA did not see the TXT record/,
    },
  ];
  for (const { what, script, more, expected } of cases)
    void it(`tells of ${what}, cleans up, and goes on by itself`, async () => {
      const hook = await hookWith(script);
      const options = { yaml: () => yaml(pebble, keys(hook, more), "hook.example.org"), httpPort: null };
      await withDaemon(options, async (paddock) => {
        await paddock.until("the failure", () => failures(paddock).length > 0);
        assert.match(failures(paddock)[0] ?? "", expected);
        const { presented, cleaned } = await hook.balance();
        assert.equal(presented.length, 1);
        assert.deepEqual(cleaned, presented);
        await hook.rewrite(pebble);
        const { code, stderr } = await paddock.command("certs", "renew", "hook.example.org");
        assert.equal(code, 0, stderr);
        assert.equal(await servedBy(paddock, pebble, "hook.example.org"), 404);
      });
    });

  void it("waits until the record is at the name servers", async () => {
    // The program ends at once, and the record comes a second later, as by a zone transfer.
    const hook = await hookWith(`if test $action = present && test -z "\${late:-}"; then
  late=1 setsid "$0" "$@" >/dev/null 2>&1 &
  exit 0
fi
test -z "\${late:-}" || sleep 1`);
    await withDaemon(
      { yaml: () => yaml(pebble, keys(hook), "late.example.org"), httpPort: null },
      async (paddock) => {
        await paddock.until("the certificate", () => issued(paddock, "late.example.org") === 1);
        assert.deepEqual(failures(paddock), []);
      },
    );
  });

  void it("cleans up when the daemon is stopped in the middle", async () => {
    const hook = await hookWith("test $action != present || sleep 600");
    await withDaemon(
      { yaml: () => yaml(pebble, keys(hook), "stop.example.org"), httpPort: null },
      async (paddock) => {
        await paddock.until("the hook", async () => (await hook.calls()).length > 0);
      },
    );
    const { presented, cleaned } = await hook.balance();
    assert.equal(presented.length, 1);
    assert.deepEqual(cleaned, presented);
  });
});

void describe("several kinds of challenges", () => {
  /** Something else answers where the CA looks for http-01. */
  let wrong: Server;
  /** Something that speaks no TLS answers on port 443. */
  let deaf: TcpServer;
  /** The tokens that were asked for there; Pebble asks thrice for each, as from three places. */
  const asked = new Set<string>();
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "paddock-order-"));
    wrong = createServer((request, response) => {
      asked.add(request.url ?? "");
      response.end("this is another server");
    }).listen(0, "127.0.0.1");
    deaf = createTcpServer((socket) =>
      socket.end("220 mail.example.org\r\n").on("error", () => undefined),
    ).listen(0, "127.0.0.1");
    await Promise.all([once(wrong, "listening"), once(deaf, "listening")]);
  });
  after(async () => {
    wrong.closeAllConnections();
    wrong.close();
    deaf.close();
    await rm(folder, { recursive: true, force: true });
  });

  const portOf = (server: Server | TcpServer): number => (server.address() as AddressInfo).port;

  void it("go on from http-01 to tls-alpn-01 in one attempt, for all names, and remember it over a restart", async () => {
    const pebble = await startPebble({ httpPort: portOf(wrong) });
    const home = await mkdtemp(join(folder, "home-"));
    try {
      const options: PaddockOptions = {
        yaml: () => yaml(pebble, "", "one.example.org, two.example.org, three.example.org"),
        httpsPort: pebble.tlsPort,
        folder: home,
      };
      const first = await Paddock.start(options);
      try {
        await first.until("the certificate", () => issued(first, "one.example.org") === 1);
        assert.deepEqual(failures(first), [], "one attempt");
        assert.equal(asked.size, 3, "each name once: one more order, not three");
        const renewal = await first.command("certs", "renew", "one.example.org");
        assert.equal(renewal.code, 0, renewal.stderr);
        assert.equal(asked.size, 3, "what worked is tried first");
      } finally {
        await first.stop({ keepFolder: true });
      }
      const second = await Paddock.start(options);
      try {
        const { code, stderr } = await second.command("certs", "renew", "one.example.org");
        assert.equal(code, 0, stderr);
        assert.equal(asked.size, 3, "also after a restart");
      } finally {
        await second.stop();
      }
    } finally {
      await pebble.stop();
    }
  });

  void it("go on to dns-01, and name what each of them said where all fail", async () => {
    const pebble = await startPebble({ httpPort: portOf(wrong), tlsPort: portOf(deaf) });
    const hook = await TestHook.write(await mkdtemp(join(folder, "hook-")), pebble, "exit 9");
    // An order of the operator's: the default one, and dns-01 joins since there is a hook.
    const keys = `dns: { hook: ${hook.program}, resolvers: ["${pebble.dnsAddress}"], nameServers: ["${pebble.dnsAddress}"] }`;
    try {
      await withDaemon({ yaml: () => yaml(pebble, keys, "all.example.org") }, async (paddock) => {
        await paddock.until("the failure", () => failures(paddock).length > 0);
        const [sentence = ""] = failures(paddock);
        assert.match(
          sentence,
          /all\.example\.org, http-01: .*; all\.example\.org, tls-alpn-01: .*; all\.example\.org, dns-01: .*ended with code 9/,
        );
        assert.match(sentence, /http-01: .*port 80.* tls-alpn-01: .*port 443.* dns-01: Run it by hand/);
        await hook.rewrite(pebble);
        const { code, stderr } = await paddock.command("certs", "renew", "all.example.org");
        assert.equal(code, 0, stderr);
        assert.equal(await servedBy(paddock, pebble, "all.example.org"), 404);
        const { presented, cleaned } = await hook.balance();
        assert.deepEqual(cleaned, presented);
      });
    } finally {
      await pebble.stop();
    }
  });
});
