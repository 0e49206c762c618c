/** What port 443 does while a tls-alpn-01 challenge is pending, and when none is. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect as connectPlain, type AddressInfo, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import { acceptProxyHeader } from "../../src/proxy-protocol/accept.ts";
import { acceptTls } from "../../src/tls/accept.ts";
import { challengeCertificate } from "../../src/tls/challenge-certificate.ts";
import { ChallengeTable } from "../../src/tls/challenge-table.ts";
import { CertificateTable } from "../../src/tls/certificate-table.ts";
import { TLS_POLICIES } from "../../src/tls/policy.ts";

const AUTHORIZATION = "token.thumbprint";

void describe("the https listener", () => {
  const deadlines = new Deadlines(50);
  let challenges = new ChallengeTable([]);
  let pending: ChallengeTable;
  let site: string;
  let served: string[] = [];
  let proxied = false;
  let server: Server;
  const open = new Set<Socket>();

  before(async () => {
    // Any certificate does for a site; this one is at hand.
    const certificate = await challengeCertificate("site.example", "no challenge", Date.now());
    site = certificate.fingerprint;
    const table = new CertificateTable(TLS_POLICIES.modern, Buffer.alloc(48));
    table.change([certificate], []);
    pending = new ChallengeTable([
      await challengeCertificate("site.example", AUTHORIZATION, Date.now()),
      await challengeCertificate("new.example", AUTHORIZATION, Date.now()),
      await challengeCertificate("127.0.0.1", AUTHORIZATION, Date.now()),
    ]);
    server = createServer({ noDelay: true }, (socket) => {
      open.add(socket);
      const serve = (): void =>
        acceptTls(
          socket,
          () => table,
          challenges,
          deadlines,
          (secured) => {
            served.push(String(secured.alpnProtocol));
            secured.on("data", () => secured.write("application data"));
          },
        );
      if (proxied) acceptProxyHeader(socket, deadlines, serve, assert.fail);
      else serve();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  after(() => {
    deadlines.close();
    for (const socket of open) socket.destroy();
    server.close();
  });

  interface Agreed {
    readonly protocol: string | false;
    readonly subject: string;
    readonly fingerprint: string;
    readonly socket: TLSSocket;
  }

  /** One connection; rejects with the client's error where the handshake fails. */
  async function shakeHands(options: ConnectionOptions): Promise<Agreed> {
    served = [];
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
    open.add(socket);
    await once(socket, "secureConnect");
    socket.on("error", () => undefined);
    const certificate = socket.getPeerX509Certificate();
    return {
      protocol: socket.alpnProtocol ?? false,
      subject: certificate?.subjectAltName ?? "",
      fingerprint: (certificate?.fingerprint256 ?? "").replaceAll(":", "").toLowerCase(),
      socket,
    };
  }

  /** A line to the listener that delivers the first `size` bytes of a client by themselves. */
  async function splittingLine(size: number): Promise<Server> {
    const line = createServer((client) => {
      const { port } = server.address() as AddressInfo;
      const onward = connectPlain({ port, host: "127.0.0.1", noDelay: true });
      for (const socket of [client, onward]) open.add(socket.on("error", () => undefined));
      client.once("data", (hello: Buffer) => {
        onward.write(hello.subarray(0, size));
        setTimeout(() => {
          onward.write(hello.subarray(size));
          client.pipe(onward);
        }, 20);
      });
      onward.pipe(client);
    }).listen(0, "127.0.0.1");
    await once(line, "listening");
    return line;
  }

  /** The site has had the connection from the listener, and speaks. */
  async function answered(socket: TLSSocket): Promise<void> {
    socket.write("hello");
    const [part] = (await once(socket, "data")) as [Buffer];
    assert.equal(part.toString(), "application data");
    socket.destroy();
  }

  const acme = { ALPNProtocols: ["acme-tls/1"] };
  const versions = ["TLSv1.2", "TLSv1.3"] as const;

  for (const version of versions)
    void it(`answers the CA with the challenge's certificate and closes, ${version}`, async () => {
      challenges = pending;
      for (const servername of ["new.example", "site.example", "NEW.example"]) {
        const agreed = await shakeHands({ ...acme, servername, minVersion: version, maxVersion: version });
        assert.equal(agreed.protocol, "acme-tls/1");
        assert.equal(agreed.subject, `DNS:${servername.toLowerCase()}`);
        assert.notEqual(agreed.fingerprint, site);
        // A client that asks for more gets nothing but the end.
        const got: Buffer[] = [];
        agreed.socket.on("data", (part: Buffer) => got.push(part));
        agreed.socket.write("GET / HTTP/1.1\r\nHost: site.example\r\n\r\n");
        await once(agreed.socket, "close");
        assert.equal(Buffer.concat(got).length, 0);
        assert.deepEqual(served, []);
      }
    });

  void it("finds the challenge of an IP address by its reverse name", async () => {
    challenges = pending;
    const agreed = await shakeHands({ ...acme, servername: "1.0.0.127.in-addr.arpa" });
    assert.equal(agreed.subject, "IP Address:127.0.0.1");
  });

  void it("takes a ClientHello in pieces", async () => {
    challenges = pending;
    for (const size of [1, 5, 60, 200]) {
      const line = await splittingLine(size);
      const { port } = line.address() as AddressInfo;
      const { protocol } = await shakeHands({ ...acme, servername: "new.example", port });
      assert.equal(protocol, "acme-tls/1");
      line.close();
    }
  });

  void it("serves everybody else as ever while a challenge is pending, also under the challenge's name", async () => {
    challenges = pending;
    for (const [offered, chosen] of [
      [["h2", "http/1.1"], "h2"],
      [["http/1.1"], "http/1.1"],
      [["acme-tls/1", "http/1.1"], "http/1.1"],
    ] as const) {
      const agreed = await shakeHands({ ALPNProtocols: [...offered], servername: "site.example" });
      await answered(agreed.socket);
      assert.deepEqual([agreed.protocol, agreed.fingerprint, served], [chosen, site, [chosen]]);
    }
    const bare = await shakeHands({ servername: "site.example" });
    assert.equal(bare.fingerprint, site);
    await answered(bare.socket);
    await assert.rejects(shakeHands({ servername: "new.example" }), {
      code: "ERR_SSL_TLSV1_UNRECOGNIZED_NAME",
    });
  });

  void it("never agrees on acme-tls/1 where no challenge is pending for the name", async () => {
    const none = new ChallengeTable([]);
    for (const [table, servername] of [
      [none, "site.example"],
      [none, "new.example"],
      [pending, "other.example"],
      [pending, ""],
    ] as const) {
      challenges = table;
      await assert.rejects(shakeHands({ ...acme, servername }), /no application protocol|unrecognized name/i);
      assert.deepEqual(served, []);
    }
  });

  void it("reads the ClientHello behind a PROXY header, in the same segment", async () => {
    challenges = pending;
    proxied = true;
    const line = createServer((client) => {
      const { port } = server.address() as AddressInfo;
      const onward = connectPlain({ port, host: "127.0.0.1", noDelay: true });
      for (const socket of [client, onward]) open.add(socket.on("error", () => undefined));
      const header = Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n");
      client.once("data", (hello: Buffer) => {
        onward.write(Buffer.concat([header, hello]));
        client.pipe(onward);
      });
      onward.pipe(client);
    }).listen(0, "127.0.0.1");
    await once(line, "listening");
    try {
      const { port } = line.address() as AddressInfo;
      const validated = await shakeHands({ ...acme, servername: "new.example", port });
      assert.equal(validated.subject, "DNS:new.example");
      const ordinary = await shakeHands({ servername: "site.example", port });
      assert.equal(ordinary.fingerprint, site);
      await answered(ordinary.socket);
    } finally {
      proxied = false;
      line.close();
    }
  });

  void it("closes a connection that says nothing TLS while a challenge is pending", async () => {
    challenges = pending;
    served = [];
    const { port } = server.address() as AddressInfo;
    const plain = connectPlain(port, "127.0.0.1");
    open.add(plain);
    plain.on("error", () => undefined);
    plain.resume();
    plain.write("GET / HTTP/1.1\r\n\r\n");
    await once(plain, "close");
    assert.deepEqual(served, []);
  });
});
