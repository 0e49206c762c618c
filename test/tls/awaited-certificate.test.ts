/** A handshake that waits for a certificate: it goes on, it is refused, or its client leaves. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import { acceptTls } from "../../src/tls/accept.ts";
import { challengeCertificate } from "../../src/tls/challenge-certificate.ts";
import { ChallengeTable } from "../../src/tls/challenge-table.ts";
import { CertificateTable } from "../../src/tls/certificate-table.ts";
import { TLS_POLICIES } from "../../src/tls/policy.ts";

void describe("a handshake for a name without a certificate", () => {
  const deadlines = new Deadlines(20);
  const table = new CertificateTable(TLS_POLICIES.intermediate, Buffer.alloc(48));
  let server: Server;
  let asked: Promise<{ name: string; done: () => void; cancelled: Promise<void> }>;
  let asking: (wanted: Awaited<typeof asked>) => void;
  const open = new Set<Socket>();

  const expect = (): void => {
    const { promise, resolve } = Promise.withResolvers<Awaited<typeof asked>>();
    asked = promise;
    asking = resolve;
  };

  before(async () => {
    server = createServer((socket) => {
      open.add(socket);
      acceptTls(
        socket,
        () => table,
        new ChallengeTable([]),
        deadlines,
        (secured) => secured.write("secure"),
        (name, done) => {
          if (name === "never.example") return null;
          const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
          asking({ name, done, cancelled });
          return { cancel };
        },
      );
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  after(() => {
    deadlines.close();
    for (const socket of open) socket.destroy();
    server.close();
  });

  function client(servername: string, maxVersion: "TLSv1.2" | "TLSv1.3" = "TLSv1.3"): TLSSocket {
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false, maxVersion });
    open.add(socket);
    return socket;
  }

  for (const version of ["TLSv1.2", "TLSv1.3"] as const)
    void it(`goes on when there is one (${version})`, async () => {
      expect();
      const name = `${version.slice(-1)}.example`;
      const socket = client(name.toUpperCase(), version);
      const wanted = await asked;
      assert.equal(wanted.name, name);
      table.change([await challengeCertificate(name, "any", Date.now())], []);
      wanted.done();
      const [data] = (await once(socket, "data")) as [Buffer];
      assert.equal(data.toString(), "secure");
      assert.equal(socket.getPeerX509Certificate()?.subjectAltName, `DNS:${name}`);
      socket.destroy();
    });

  void it("is refused by name when there is none, and at once where nobody is asked", async () => {
    expect();
    const secure = once(client("none.example"), "secureConnect");
    const refused = assert.rejects(secure, { code: "ERR_SSL_TLSV1_UNRECOGNIZED_NAME" });
    (await asked).done();
    await refused;
    await assert.rejects(once(client("never.example"), "secureConnect"), {
      code: "ERR_SSL_TLSV1_UNRECOGNIZED_NAME",
    });
  });

  void it("is taken back when its client leaves", async () => {
    expect();
    const socket = client("left.example");
    const { cancelled } = await asked;
    socket.destroy();
    await cancelled;
    while (deadlines.size > 0) await new Promise(setImmediate);
  });
});
