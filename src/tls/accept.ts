import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import { PaddockError } from "../errors.ts";
import type { CertificateTable } from "./certificate-table.ts";
import { answerValidation, awaitClientHello } from "./challenge-handshake.ts";
import type { ChallengeTable } from "./challenge-table.ts";

/** RFC 6066 section 3 and RFC 8446 section 6: a plaintext record with the fatal alert unrecognized_name (112). */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70]);

const ALPN = ["h2", "http/1.1"];

/**
 * Asked where there is no certificate for a name; null where there will be none. Else `done` is called once, when it is
 * time to look again.
 */
export type AwaitCertificate = (name: string, done: () => void) => { readonly cancel: () => void } | null;

/**
 * Milliseconds from accept to the end of the handshake, and of a validating CA's connection. What it waits for a
 * certificate is not counted: that has a limit of its own.
 */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * Shakes hands on an accepted connection; `secure` is called once, with a socket that is ready, or never. A CA that
 * validates one of the `challenges` is answered here.
 */
export function acceptTls(
  socket: Socket,
  table: () => CertificateTable,
  challenges: ChallengeTable,
  deadlines: Deadlines,
  secure: (socket: TLSSocket) => void,
  wanted: AwaitCertificate = () => null,
): void {
  let secured: TLSSocket | null = null;
  const destroy = (): void => {
    if (secured === null) socket.destroy();
    else secured.destroy();
  };
  const handshake = { deadline: Date.now() + HANDSHAKE_TIMEOUT, expire: destroy } satisfies Expiring;
  const awaitCertificate: AwaitCertificate = (name, done) => {
    const waiting = wanted(name, () => {
      handshake.deadline = Date.now() + HANDSHAKE_TIMEOUT;
      done();
    });
    if (waiting === null) return null;
    handshake.deadline = Infinity;
    socket.once("close", waiting.cancel);
    return waiting;
  };
  const watch = (made: TLSSocket): void => {
    secured = made;
    made.on("error", destroy);
  };
  const shakeHands = (): void => {
    const made = serverSide(socket, table, awaitCertificate);
    watch(made);
    made.on("close", () => deadlines.delete(handshake));
    made.on("secure", () => {
      deadlines.delete(handshake);
      // tls.Server clears it here; an HTTP/2 session would wait for a client's "secureConnect" for ever.
      Object.assign(made, { secureConnecting: false });
      secure(made);
    });
  };
  deadlines.add(handshake);
  socket.on("error", destroy);
  if (challenges.isEmpty) {
    shakeHands();
    return;
  }
  socket.on("close", () => deadlines.delete(handshake));
  awaitClientHello(socket, challenges, (challenge) => {
    if (challenge === null) shakeHands();
    else watch(answerValidation(socket, challenge));
  });
}

function serverSide(
  socket: Socket,
  table: () => CertificateTable,
  awaitCertificate: AwaitCertificate,
): TLSSocket {
  return new TLSSocket(socket, {
    isServer: true,
    secureContext: table().unnamed,
    ALPNProtocols: ALPN,
    SNICallback(name, callback) {
      const settle = (isLast: boolean): void => {
        let served: ReturnType<CertificateTable["find"]>;
        try {
          served = table().find(name);
        } catch (error) {
          // OpenSSL does not take the certificate or its key. That is one site's misfortune and not the worker's.
          callback(error as Error);
          return;
        }
        if (served !== undefined) {
          callback(null, served.context);
          return;
        }
        if (!isLast && awaitCertificate(name.toLowerCase(), () => settle(true)) !== null) return;
        // Node can only drop the connection here. Nothing has been sent yet, so the alert goes out in plaintext,
        // as the record layer itself would send it, and the client learns what was wrong.
        socket.write(UNRECOGNIZED_NAME);
        socket.end();
        callback(new PaddockError("ERR_UNRECOGNIZED_NAME", `no site is called ${name}`));
      };
      settle(false);
    },
  });
}
