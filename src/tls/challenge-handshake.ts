import type { Socket } from "node:net";
import { TLSSocket, type SecureContext } from "node:tls";
import { ACME_TLS_PROTOCOL } from "./challenge-certificate.ts";
import type { ChallengeTable } from "./challenge-table.ts";
import { readClientHello } from "./client-hello.ts";

/**
 * Reads the ClientHello ahead of TLS and leaves its bytes in the socket. `done` gets the context of the challenge that
 * it asks for, or null where it is an ordinary one; it is not called where the connection ends before.
 *
 * Node's own callbacks do not do: with TLS 1.2 the one for the name runs before the one for the protocol, and the
 * certificate depends on both. So the hello is read here, and only while a challenge is pending.
 */
export function awaitClientHello(
  socket: Socket,
  challenges: ChallengeTable,
  done: (challenge: SecureContext | null) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const settle = (challenge: SecureContext | null): void => {
    socket.off("readable", read);
    socket.unshift(bytes);
    done(challenge);
  };
  const read = (): void => {
    const part = socket.read() as Buffer | null;
    if (part === null) return;
    bytes = bytes.length === 0 ? part : Buffer.concat([bytes, part]);
    const hello = readClientHello(bytes);
    if (hello === "incomplete") return;
    // RFC 8737 section 3: the CA offers this protocol and no other.
    const isValidation =
      hello !== "unreadable" && hello.protocols.length === 1 && hello.protocols[0] === ACME_TLS_PROTOCOL;
    settle(isValidation ? (challenges.find(hello.serverName) ?? null) : null);
  };
  socket.on("readable", read);
}

/** RFC 8737 section 3: the handshake alone is the answer; no application data, and the connection is closed. */
export function answerValidation(socket: Socket, secureContext: SecureContext): TLSSocket {
  const secured = new TLSSocket(socket, {
    isServer: true,
    secureContext,
    ALPNProtocols: [ACME_TLS_PROTOCOL],
  });
  secured.on("secure", () => secured.end());
  secured.resume();
  return secured;
}
