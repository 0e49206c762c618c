import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { AddressList } from "../../exchange/address-list.ts";
import { messageOf, systemErrorCode } from "../../errors.ts";

/** For connection and handshake together, milliseconds. */
const TIMEOUT = 10_000;
/** For the end of the connection, milliseconds. */
const FAREWELL = 1_000;

/** Section 2.2 of the PROXY protocol: version 2, command LOCAL, no address: the balancer speaks for itself. */
const LOCAL_HEADER = Buffer.from([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x20, 0x00, 0x00, 0x00,
]);

export interface OwnAddress {
  readonly host: string;
  readonly port: number;
}

export type HandshakeResult =
  /** SHA-256 of the end-entity certificate, lower-case hex. */
  | { readonly fingerprint: string }
  /** The server has no certificate for the name: it refused with an alert. */
  | { readonly fingerprint: null }
  /** No connection, or no answer: nothing is known. */
  | { readonly error: string };

/**
 * Shakes hands once, as a client that asks for `name`, and closes. The chain is not verified: the question is
 * which certificate is served, and an embedded or a test CA's is as good as any.
 *
 * @param name a host name; `*.` stands for any label; an IP address is asked for without a server name (RFC 6066 §3).
 * @param proxied networks whose connections begin with a PROXY header, as the listener has them.
 */
export function shakeHands(
  address: OwnAddress,
  name: string,
  proxied: AddressList,
  signal: AbortSignal,
): Promise<HandshakeResult> {
  return new Promise((resolve) => {
    const raw = connect(address.port, address.host);
    const ending = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]);
    const done = (result: HandshakeResult): void => {
      ending.removeEventListener("abort", late);
      resolve(result);
    };
    const late = (): void => {
      raw.destroy();
      done({ error: "no answer" });
    };
    ending.addEventListener("abort", late, { once: true });
    raw.on("error", (error) => done({ error: systemErrorCode(error) ?? messageOf(error) }));
    raw.on("connect", () => {
      if (proxied.has(plain(raw.localAddress ?? ""))) raw.write(LOCAL_HEADER);
      startTls(raw, name, done);
    });
  });
}

function startTls(raw: Socket, name: string, done: (result: HandshakeResult) => void): void {
  const servername = isIP(name) === 0 ? name.replace(/^\*\./, "served-check.") : "";
  const secured = connectTls({
    socket: raw,
    servername,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
  });
  secured.on("secureConnect", () => {
    const fingerprint = secured.getPeerX509Certificate()?.fingerprint256;
    // Not destroyed: the client's part of the handshake is still on its way, and the server is to see its end.
    secured.end();
    setTimeout(() => raw.destroy(), FAREWELL).unref();
    done({ fingerprint: fingerprint?.replaceAll(":", "").toLowerCase() ?? null });
  });
  secured.on("error", (error) => {
    raw.destroy();
    const code = systemErrorCode(error) ?? "";
    // unrecognized_name, or handshake_failure where a context has no certificate at all.
    if (/UNRECOGNIZED_NAME|HANDSHAKE_FAILURE|ALERT/.test(code)) done({ fingerprint: null });
    else done({ error: code === "" ? messageOf(error) : code });
  });
}

/** An IPv4 address on an IPv6 socket as itself. */
function plain(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
