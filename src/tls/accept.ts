import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import { PaddockError } from "../errors.ts";
import type { CertificateTable } from "./certificate-table.ts";

/** RFC 6066 section 3 and RFC 8446 section 6: a plaintext record with the fatal alert unrecognized_name (112). */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70]);

const ALPN = ["h2", "http/1.1"];

/** Milliseconds from accept to the end of the handshake. */
const HANDSHAKE_TIMEOUT = 10_000;

/** Shakes hands on an accepted connection; `secure` is called once, with a socket that is ready, or never. */
export function acceptTls(
  socket: Socket,
  table: () => CertificateTable,
  deadlines: Deadlines,
  secure: (socket: TLSSocket) => void,
): void {
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext: table().unnamed,
    ALPNProtocols: ALPN,
    SNICallback(name, callback) {
      const served = table().find(name);
      if (served !== undefined) {
        callback(null, served.context);
        return;
      }
      // Node can only drop the connection here. Nothing has been sent yet, so the alert goes out in plaintext,
      // as the record layer itself would send it, and the client learns what was wrong.
      socket.write(UNRECOGNIZED_NAME);
      socket.end();
      callback(new PaddockError("ERR_UNRECOGNIZED_NAME", `no site is called ${name}`));
    },
  });
  const handshake: Expiring = {
    deadline: Date.now() + HANDSHAKE_TIMEOUT,
    expire: () => secured.destroy(),
  };
  deadlines.add(handshake);
  secured.on("error", () => secured.destroy());
  socket.on("error", () => secured.destroy());
  secured.on("close", () => deadlines.delete(handshake));
  secured.on("secure", () => {
    deadlines.delete(handshake);
    // tls.Server clears it here; an HTTP/2 session would wait for a client's "secureConnect" for ever.
    Object.assign(secured, { secureConnecting: false });
    secure(secured);
  });
}
