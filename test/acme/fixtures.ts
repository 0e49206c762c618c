import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import type { AccountKeeper, StoredAccount } from "../../src/acme/stored-account.ts";
import type { ChallengeAnswer, ChallengeBoard } from "../../src/acme/challenge.ts";
import { AcmeIssuer, type AcmeIssuerOptions } from "../../src/acme/issuer.ts";
import { systemClock } from "../../src/clock.ts";
import type { ChallengeKind } from "../../src/config/challenges.ts";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import { acceptTls } from "../../src/tls/accept.ts";
import { CertificateTable } from "../../src/tls/certificate-table.ts";
import type { TlsCertificate } from "../../src/tls/certificate.ts";
import { challengeCertificate } from "../../src/tls/challenge-certificate.ts";
import { ChallengeTable } from "../../src/tls/challenge-table.ts";
import { TLS_POLICIES } from "../../src/tls/policy.ts";

/** An account kept in memory. */
export class MemoryAccounts implements AccountKeeper {
  saved: StoredAccount[] = [];

  async load(): Promise<StoredAccount | null> {
    return this.saved.at(-1) ?? null;
  }

  async save(account: StoredAccount): Promise<void> {
    this.saved.push(account);
  }

  async remove(): Promise<void> {
    this.saved = [];
  }
}

/** A board that a plain http server shows, as the workers will. */
export class HttpBoard implements ChallengeBoard, AsyncDisposable {
  readonly shown = new Map<string, string>();
  readonly fetched: string[] = [];
  readonly provenBy = new Map<string, ChallengeKind>();
  published = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const token = request.url?.split("/").at(-1) ?? "";
      this.fetched.push(token);
      const answer = this.shown.get(token);
      response.writeHead(answer === undefined ? 404 : 200).end(answer ?? "unknown token");
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** On a free port, before Pebble is told of it: so nobody else can take it in between. */
  async listen(host = "127.0.0.1", port = 0): Promise<this> {
    this.#server.listen(port, host);
    await once(this.#server, "listening");
    return this;
  }

  kindsFor(_name: string): readonly ChallengeKind[] {
    return ["http-01"];
  }

  async publish({ token, keyAuthorization }: ChallengeAnswer, _signal: AbortSignal): Promise<void> {
    this.published += 1;
    this.shown.set(token, keyAuthorization);
  }

  async withdraw({ token }: ChallengeAnswer): Promise<void> {
    this.shown.delete(token);
  }

  proven(name: string, kind: ChallengeKind): void {
    this.provenBy.set(name, kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server.close(), "close");
  }
}

export function issuerWith(
  options: Partial<AcmeIssuerOptions> & Pick<AcmeIssuerOptions, "directory">,
): AcmeIssuer {
  return new AcmeIssuer({
    name: "test",
    profile: null,
    eab: null,
    trustedRoots: null,
    email: null,
    accounts: new MemoryAccounts(),
    board: new HttpBoard(),
    clock: systemClock,
    version: "0.0.0",
    ...options,
  });
}

/** A request without an end: tests that need an abort make their own signal. */
export const never = new AbortController().signal;

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A fake CA for what Pebble cannot do: handlers by path; the directory and nonces are there already. */
export class FakeAuthority implements AsyncDisposable {
  readonly routes = new Map<string, Handler>();
  readonly seen: { path: string; method: string; payload: unknown; header: Record<string, unknown> }[] = [];
  url = "";
  #nonce = 0;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => (body += chunk));
      request.on("end", () => this.#answer(request, response, body));
    });
  }

  async start(meta: object = {}, extra: Record<string, string> = {}): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    const at = (path: string): string => `${this.url}${path}`;
    this.json("/dir", 200, {
      newNonce: at("/nonce"),
      newAccount: at("/account"),
      newOrder: at("/order"),
      ...Object.fromEntries(Object.entries(extra).map(([name, path]) => [name, at(path)])),
      meta,
    });
    this.routes.set("/nonce", (_request, response) => response.end());
    this.json("/account", 201, { status: "valid" }, { Location: at("/account/1") });
    return this;
  }

  get directory(): string {
    return `${this.url}/dir`;
  }

  json(path: string, status: number, body: object, fields: Record<string, string> = {}): void {
    this.routes.set(path, (_request, response) => {
      response.writeHead(status, { "Content-Type": "application/json", ...fields }).end(JSON.stringify(body));
    });
  }

  problem(path: string, status: number, type: string, fields: Record<string, string> = {}): void {
    this.json(path, status, { type: `urn:ietf:params:acme:error:${type}`, detail: `fake ${type}` }, fields);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const path = request.url ?? "";
    const jws = body === "" ? {} : (JSON.parse(body) as { payload?: string; protected?: string });
    const decode = (part: string | undefined): unknown =>
      part === undefined || part === "" ? null : JSON.parse(Buffer.from(part, "base64url").toString());
    const header = (decode(jws.protected) ?? {}) as Record<string, unknown>;
    this.seen.push({ path, method: request.method ?? "", payload: decode(jws.payload), header });
    response.setHeader("Replay-Nonce", `nonce-${(this.#nonce += 1)}`);
    const handler = this.routes.get(path);
    if (handler === undefined) response.writeHead(404).end();
    else handler(request, response, body);
  }
}

/** A board that a TLS listener of the product's own shows: tls-alpn-01, without a daemon. */
export class TlsBoard extends HttpBoard {
  readonly #certificates = new Map<string, TlsCertificate>();
  readonly #deadlines = new Deadlines();
  readonly #sockets = new Set<Socket>();
  readonly #listener = createTcpServer({ noDelay: true }, (socket) => {
    this.#sockets.add(socket.on("error", () => undefined));
    acceptTls(
      socket,
      () => new CertificateTable(TLS_POLICIES.modern, Buffer.alloc(48)),
      new ChallengeTable([...this.#certificates.values()]),
      this.#deadlines,
      (secured) => secured.destroy(),
    );
  });

  override get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  override async listen(): Promise<this> {
    this.#listener.listen(0, "127.0.0.1");
    await once(this.#listener, "listening");
    return this;
  }

  override kindsFor(_name: string): readonly ChallengeKind[] {
    return ["tls-alpn-01"];
  }

  override async publish({ name, token, keyAuthorization }: ChallengeAnswer): Promise<void> {
    this.published += 1;
    this.#certificates.set(token, await challengeCertificate(name, keyAuthorization, Date.now()));
  }

  override async withdraw({ token }: ChallengeAnswer): Promise<void> {
    this.#certificates.delete(token);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#deadlines.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#listener.close(), "close");
  }
}
