import { createHash } from "node:crypto";
import { request, type IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { messageOf, systemErrorCode } from "../../errors.ts";
import { ACME_TLS_PROTOCOL } from "../../tls/challenge-certificate.ts";
import { reverseName } from "../../tls/reverse-name.ts";

/** Where the CA would look. */
export interface Target {
  readonly name: string;
  /** One of its addresses. */
  readonly address: string;
  readonly port: number;
}

export interface Token {
  readonly token: string;
  readonly keyAuthorization: string;
}

/** Bytes of an answer; a key authorization has fewer than 200. */
const LONGEST_ANSWER = 2_000;

/** What went wrong, as a clause, and what may mend it; null where our own answer came. */
export type Obstacle = { readonly what: string; readonly mend: "open" | "family" | "server" } | null;

/** What an http-01 validation does (RFC 8555 section 8.3), at one address; redirects are not followed. */
export async function fetchToken(target: Target, token: Token, signal: AbortSignal): Promise<Obstacle> {
  const { name, address, port } = target;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const asked = request({
    host: address,
    port,
    path: `/.well-known/acme-challenge/${token.token}`,
    headers: { host: isIP(name) === 6 ? `[${name}]` : name, "user-agent": "paddock preflight" },
    agent: false,
    signal,
  });
  asked.once("response", resolve).once("error", reject).end();
  try {
    const response = await promise;
    response.setEncoding("latin1");
    let body = "";
    for await (const part of response) {
      body += String(part);
      if (body.length > LONGEST_ANSWER) break;
    }
    if (response.statusCode === 200 && body.trimEnd() === token.keyAuthorization) return null;
    return { what: stranger(response), mend: "server" };
  } catch (error) {
    return obstacleOf(error, signal);
  } finally {
    asked.destroy();
  }
}

/** What a tls-alpn-01 validation does (RFC 8737 section 3), at one address. */
export async function shakeHands(target: Target, token: Token, signal: AbortSignal): Promise<Obstacle> {
  const { name, address, port } = target;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({
    host: address,
    port,
    servername: isIP(name) === 0 ? name : reverseName(name),
    ALPNProtocols: [ACME_TLS_PROTOCOL],
    // The certificate is of nobody's: it is compared, and nothing is sent.
    rejectUnauthorized: false,
  });
  const stop = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  socket.once("secureConnect", resolve).once("error", reject);
  socket.once("close", () => reject(new Error("the connection was closed")));
  try {
    signal.throwIfAborted();
    await promise;
    const digest = createHash("sha256").update(token.keyAuthorization).digest();
    if (socket.alpnProtocol === ACME_TLS_PROTOCOL && socket.getPeerCertificate().raw.includes(digest))
      return null;
    return {
      what: "another server answered, with a certificate that is not the challenge's",
      mend: "server",
    };
  } catch (error) {
    const obstacle = obstacleOf(error, signal);
    // Whoever speaks TLS there and not this protocol is a server of somebody's.
    return systemErrorCode(error)?.startsWith("ERR_SSL") === true
      ? { what: "another server answered", mend: "server" }
      : obstacle;
  } finally {
    signal.removeEventListener("abort", stop);
    socket.destroy();
  }
}

function stranger({ statusCode = 0, headers }: IncomingMessage): string {
  const server = headers.server === undefined ? "" : `, server ${String(headers.server).slice(0, 60)}`;
  const location = headers.location === undefined ? "" : `, to ${headers.location.slice(0, 200)}`;
  return `another server answered (status ${statusCode}${location}${server})`;
}

const REASONS: Readonly<Record<string, Obstacle>> = {
  ECONNREFUSED: { what: "connection refused", mend: "open" },
  ECONNRESET: { what: "the connection was cut", mend: "open" },
  EHOSTUNREACH: { what: "no way to it from here", mend: "family" },
  ENETUNREACH: { what: "no way to it from here", mend: "family" },
  EADDRNOTAVAIL: { what: "no way to it from here", mend: "family" },
  EAFNOSUPPORT: { what: "no way to it from here", mend: "family" },
  EACCES: { what: "this machine does not let it be asked", mend: "open" },
};

function obstacleOf(error: unknown, signal: AbortSignal): Obstacle {
  if (signal.aborted) return { what: "no answer", mend: "open" };
  return REASONS[systemErrorCode(error) ?? ""] ?? { what: messageOf(error), mend: "server" };
}
