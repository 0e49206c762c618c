/** Reading ahead of TLS: OpenSSL's own ClientHellos, and what is none. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { before, describe, it } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import * as fc from "fast-check";
import { readClientHello } from "../../src/tls/client-hello.ts";

/** The first flight of a Node client. */
async function helloOf(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
  client.on("error", () => undefined);
  const [socket] = (await once(server, "connection")) as [import("node:net").Socket];
  let bytes = Buffer.alloc(0);
  while (bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3)) {
    const [part] = (await once(socket, "data")) as [Buffer];
    bytes = Buffer.concat([bytes, part]);
  }
  client.destroy();
  socket.destroy();
  await once(server.close(), "close");
  return bytes;
}

/** The same message in records of `size` bytes (RFC 8446 section 5.1 allows that). */
function fragmented(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

void describe("a ClientHello", () => {
  let hello: Buffer;
  const expected = { serverName: "www.example.org", protocols: ["acme-tls/1"] };
  before(async () => {
    hello = await helloOf({ servername: "WWW.example.org", ALPNProtocols: ["acme-tls/1"] });
  });

  void it("gives its server name and protocols, with TLS 1.3 and with TLS 1.2 alone", async () => {
    assert.deepEqual(readClientHello(hello), expected);
    const old = await helloOf({
      servername: "a.example",
      ALPNProtocols: ["h2", "http/1.1"],
      maxVersion: "TLSv1.2",
    });
    assert.deepEqual(readClientHello(old), { serverName: "a.example", protocols: ["h2", "http/1.1"] });
  });

  void it("may have neither", async () => {
    assert.deepEqual(readClientHello(await helloOf({})), { serverName: "", protocols: [] });
  });

  void it("is incomplete until its last byte is there, and what follows it is nobody's business", () => {
    for (let length = 0; length < hello.length; length += 1)
      assert.equal(readClientHello(hello.subarray(0, length)), "incomplete", `${length} bytes`);
    assert.deepEqual(readClientHello(Buffer.concat([hello, Buffer.from("more")])), expected);
  });

  void it("may come in several records", () => {
    for (const size of [1, 3, 100, 511]) assert.deepEqual(readClientHello(fragmented(hello, size)), expected);
  });

  void it("is not what has another first byte, an empty record or a message of another type", () => {
    for (const bytes of [
      Buffer.from("GET / HTTP/1.1\r\n"),
      Buffer.from([22, 3, 1, 0, 0]),
      Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0]),
      Buffer.from([22, 3, 1, 0xff, 0xff, 1]),
      Buffer.from([22, 3, 1, 0x10, 0, 1, 0xff, 0xff, 0xff]),
    ])
      assert.equal(readClientHello(bytes), "unreadable", bytes.toString("hex"));
  });

  void it("never throws and never names what is not there, whichever bytes are changed", () => {
    const change = fc.record({ at: fc.nat(hello.length - 1), to: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.nat(hello.length),
        (changes, length) => {
          const bytes = Buffer.from(hello);
          for (const { at, to } of changes) bytes[at] = to;
          const read = readClientHello(bytes.subarray(0, length));
          if (typeof read === "string") return ["incomplete", "unreadable"].includes(read);
          const text = bytes.toString("latin1");
          return (
            text.toLowerCase().includes(read.serverName) &&
            read.protocols.every((protocol) => text.includes(protocol))
          );
        },
      ),
      { numRuns: 2000 },
    );
  });
});
