import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { BlockList, isIP, type Socket } from "node:net";
import type { AcmeServerConfiguration } from "../config/configuration.ts";
import { messageOf } from "../errors.ts";
import { TLS_POLICIES } from "../tls/policy.ts";
import type { Answer } from "./answer.ts";
import type { ServerIdentity } from "./messages.ts";
import { AcmeRefusal } from "./problem.ts";
import type { Protocol } from "./protocol.ts";
import { RateLimit } from "./rate-limit.ts";

/** Bytes; a finalize with a large request has some 8 KB. */
const LARGEST_BODY = 64 * 1024;
const MOST_CONNECTIONS = 256;

type Say = (level: "info" | "warn", message: string, fields: object) => void;

/**
 * HTTP for the protocol. Node's own server is good enough: it is not on the path of the sites, runs in a process of
 * its own, and sees a few requests a day.
 */
export function createListener(
  configuration: AcmeServerConfiguration,
  identity: ServerIdentity,
  protocol: Protocol,
  say: Say,
): Server {
  const clients = new BlockList();
  for (const { address, prefix, family } of configuration.clients) clients.addSubnet(address, prefix, family);
  const limit = new RateLimit("requests from this address", 500, 20_000);
  const server = createServer(
    {
      ...TLS_POLICIES.intermediate,
      cert: identity.chain,
      key: identity.key,
      handshakeTimeout: 10_000,
      headersTimeout: 10_000,
      requestTimeout: 20_000,
      keepAliveTimeout: 10_000,
      maxHeaderSize: 8 * 1024,
    },
    (request, response) => {
      void handle(request, response).catch((error: unknown) => {
        say("warn", "an ACME request was not answered", { cause: messageOf(error) });
        response.destroy();
      });
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  // Before TLS: who is not one of the clients costs no handshake.
  server.on("connection", (socket: Socket) => {
    const { address, family } = peerOf(socket);
    if (!clients.check(address, family)) socket.destroy();
  });
  server.on("tlsClientError", () => undefined);

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const client = limitKey(peerOf(request.socket).address);
    let base: string | null = null;
    let answer: Answer;
    try {
      limit.take(client);
      base = baseOf(request, configuration.hosts);
      answer = await protocol.answer({
        method: request.method ?? "",
        path: request.url ?? "",
        base,
        client,
        contentType: request.headers["content-type"] ?? "",
        body: await bodyOf(request),
      });
    } catch (error) {
      answer = refusalAnswer(error, say);
    }
    send(request, response, answer, base, protocol.nonces.issue());
  }
  return server;
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, fields, body }: Answer,
  base: string | null,
  nonce: string,
): void {
  const links = [fields?.["Link"], base === null ? undefined : `<${base}/directory>;rel="index"`];
  const { pathname } = URL.parse(request.url ?? "", "https://paddock") ?? {};
  response.writeHead(status, {
    ...(typeof body === "object" && body !== null ? { "Content-Type": "application/json" } : {}),
    "Cache-Control": "no-store",
    ...(pathname === "/directory" ? {} : { "Replay-Nonce": nonce }),
    ...fields,
    ...(pathname === "/directory" ? {} : { Link: links.filter((link) => link !== undefined).join(", ") }),
    // What is left of a body that was too long is not read.
    ...(request.complete ? {} : { Connection: "close" }),
  });
  response.end(body === null ? undefined : typeof body === "string" ? body : JSON.stringify(body));
}

function refusalAnswer(error: unknown, say: Say): Answer {
  if (!(error instanceof AcmeRefusal)) {
    say("warn", `an ACME request failed: ${messageOf(error)}`, {});
    return refusalAnswer(new AcmeRefusal("serverInternal", "the CA could not do it; its log says why"), say);
  }
  const { retryAfter, location } = error.options;
  return {
    status: error.status,
    fields: {
      "Content-Type": "application/problem+json",
      ...(retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) }),
      ...(location === undefined ? {} : { Location: location }),
    },
    body: error.document,
  };
}

/** Which of our names the client called us by: addresses of objects begin with it. */
function baseOf(request: IncomingMessage, hosts: readonly string[]): string {
  const [, bracketed, plain, port = ""] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+))(:\d{1,5})?$/.exec(request.headers.host ?? "") ?? [];
  const host = (bracketed ?? plain ?? "").toLowerCase();
  if (!hosts.includes(host))
    throw new AcmeRefusal("malformed", "this CA is not called so; add the name to localCA.acme.hosts", {
      status: 421,
    });
  return `https://${bracketed === undefined ? host : `[${host}]`}${port === ":443" ? "" : port}`;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > LARGEST_BODY)
      throw new AcmeRefusal("malformed", `the body is longer than ${LARGEST_BODY} bytes`, { status: 413 });
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function peerOf(socket: Socket): { address: string; family: "ipv4" | "ipv6" } {
  // An IPv4 client of an IPv6 socket is compared as what it is.
  const address = (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "").replace(/%.*$/, "");
  return { address, family: isIP(address) === 6 ? "ipv6" : "ipv4" };
}

/** One subscriber has a whole /64 of IPv6 addresses. */
function limitKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = "", tail] = address.split("::");
  const left = head.split(":");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 }, () => "0");
  return [...left, ...zeros].slice(0, 4).join(":");
}
