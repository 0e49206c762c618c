/**
 * A CA of the tests' own in front of Pebble: it passes on what it is not told to spoil, counts every request by
 * its step of the protocol, and can hold each of them.
 *
 * Host goes through unchanged. Pebble makes its URLs from it, so they lead back here, and the `url` that each
 * request is signed for (RFC 8555 §6.4) is the one that Pebble sees.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Pebble } from "./pebble.ts";

export type Step =
  | "directory"
  | "newNonce"
  | "newAccount"
  | "account"
  | "newOrder"
  | "order"
  | "authorization"
  | "challenge"
  | "finalize"
  | "certificate"
  | "keyChange"
  | "revokeCert"
  | "renewalInfo";

/** Pebble's paths; one that is not here is no step. */
const PATHS: readonly (readonly [string, Step])[] = [
  ["/dir", "directory"],
  ["/nonce-plz", "newNonce"],
  ["/sign-me-up", "newAccount"],
  ["/my-account/", "account"],
  ["/order-plz", "newOrder"],
  ["/my-order/", "order"],
  ["/authZ/", "authorization"],
  ["/chalZ/", "challenge"],
  ["/finalize-order/", "finalize"],
  ["/certZ/", "certificate"],
  ["/rollover-account-key", "keyChange"],
  ["/revoke-cert", "revokeCert"],
  ["/renewal-info/", "renewalInfo"],
];

export interface CaAnswer {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly body: string;
}

export interface CaRequest {
  readonly step: Step;
  readonly url: string;
  /** Of the JWS; null where there is none, and for POST-as-GET. */
  readonly payload: Readonly<Record<string, unknown>> | null;
  /** By an account's URL or by the key itself (RFC 8555 §6.2); null for a request that is not signed. */
  readonly signedBy: "kid" | "jwk" | null;
  /** Resolves when the client has closed the connection: a request that is held then is lost. */
  readonly closed: Promise<void>;
}

/**
 * What happens to a request in place of being passed on: an answer, `cut` for a connection that is closed
 * without one, or null for Pebble's own answer after all.
 */
type Fault = (request: CaRequest) => CaAnswer | "cut" | null | Promise<CaAnswer | "cut" | null>;
/** What Pebble answered, changed; `cut` loses it on the way. */
type Rewrite = (answer: CaAnswer, request: CaRequest) => CaAnswer | "cut" | Promise<CaAnswer | "cut">;

/** A request that is held: until `release`, nobody hears of it. */
export interface Held {
  /** Resolves when one has come. */
  readonly reached: Promise<CaRequest>;
  release(): void;
}

export class FaultyCa implements AsyncDisposable {
  readonly requests: CaRequest[] = [];
  readonly #pebble: Pebble;
  readonly #ca: Buffer;
  readonly #server: https.Server;
  readonly #agent: https.Agent;
  readonly #faults = new Map<Step, Fault>();
  readonly #rewrites = new Map<Step, Rewrite>();
  readonly #holds: (() => void)[] = [];

  static async start(pebble: Pebble): Promise<FaultyCa> {
    const file = (name: string): Promise<Buffer> => readFile(join(pebble.folder, name));
    const [ca, cert, key] = await Promise.all([file("root.pem"), file("server.pem"), file("server-key.pem")]);
    const faulty = new FaultyCa(pebble, { ca, cert, key });
    faulty.#server.listen(0, "127.0.0.1");
    await once(faulty.#server, "listening");
    return faulty;
  }

  private constructor(pebble: Pebble, tls: { ca: Buffer; cert: Buffer; key: Buffer }) {
    this.#pebble = pebble;
    this.#ca = tls.ca;
    this.#agent = new https.Agent({ ca: tls.ca, keepAlive: true });
    this.#server = https.createServer({ cert: tls.cert, key: tls.key }, (request, response) => {
      // What fails here fails at the client, as a connection that is cut.
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get directoryUrl(): string {
    return `${this.url}/dir`;
  }

  get trustedRootsPath(): string {
    return this.#pebble.trustedRootsPath;
  }

  get trustedRoots(): string {
    return this.#ca.toString();
  }

  /** How many requests of a step have come. */
  count(step: Step): number {
    return this.requests.filter((request) => request.step === step).length;
  }

  /** Every request of the step from now on; null takes it back. */
  fail(step: Step, fault: Fault | null): void {
    if (fault === null) this.#faults.delete(step);
    else this.#faults.set(step, fault);
  }

  rewrite(step: Step, rewrite: Rewrite | null): void {
    if (rewrite === null) this.#rewrites.delete(step);
    else this.#rewrites.set(step, rewrite);
  }

  /** Holds the requests of the step: before Pebble sees them, or Pebble's answers to them. */
  hold(step: Step, when: "before" | "after"): Held {
    const reached = Promise.withResolvers<CaRequest>();
    const released = Promise.withResolvers<void>();
    const release = (): void => {
      if (when === "before") this.fail(step, null);
      else this.rewrite(step, null);
      released.resolve();
    };
    this.#holds.push(release);
    if (when === "before") {
      this.fail(step, async (request) => {
        reached.resolve(request);
        await released.promise;
        return null;
      });
    } else {
      this.rewrite(step, async (answer, request) => {
        reached.resolve(request);
        await released.promise;
        return answer;
      });
    }
    return { reached: reached.promise, release };
  }

  /** Adds to the directory; `meta` is added to its own. */
  describe(extra: { meta?: object; [resource: string]: unknown }): void {
    this.rewrite("directory", (answer) => {
      const body = JSON.parse(answer.body) as { meta?: object };
      return {
        ...answer,
        body: JSON.stringify({ ...body, ...extra, meta: { ...body.meta, ...extra.meta } }),
      };
    });
  }

  /** Renewal information (RFC 9773), which Pebble 2.4 does not have: the same window for every certificate. */
  suggest(window: { start: Date; end: Date }, explanationURL?: string): void {
    this.describe({ renewalInfo: `${this.url}/renewal-info` });
    const suggestedWindow = { start: window.start.toISOString(), end: window.end.toISOString() };
    this.fail("renewalInfo", () =>
      json(200, { suggestedWindow, explanationURL }, { "retry-after": "21600" }),
    );
  }

  /** Each finalized order is `processing` for the first polls, whatever Pebble says. */
  finalizeSlowly(polls: number): void {
    let left = polls;
    const process = (answer: CaAnswer): CaAnswer => {
      const order = JSON.parse(answer.body) as { status: string; certificate?: string };
      if (!["processing", "valid"].includes(order.status) || left === 0) return answer;
      left -= 1;
      const { certificate: _, ...rest } = order;
      return {
        ...answer,
        fields: { ...answer.fields, "retry-after": "0" },
        body: JSON.stringify({ ...rest, status: "processing" }),
      };
    };
    this.rewrite("finalize", process);
    this.rewrite("order", process);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const release of this.#holds) release();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await once(this.#server.close(), "close");
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    incoming.setEncoding("utf8");
    for await (const part of incoming) body += String(part);
    const step = PATHS.find(([path]) => incoming.url?.startsWith(path))?.[1];
    const closed = new Promise<void>((resolve) => response.once("close", () => resolve()));
    const request =
      step === undefined ? null : { step, url: incoming.url ?? "", closed, ...signedParts(body) };
    if (request !== null) this.requests.push(request);
    let answer = request === null ? null : ((await this.#faults.get(request.step)?.(request)) ?? null);
    // What a killed client had on its way never arrives.
    if (incoming.socket.destroyed) return;
    if (answer === null) {
      answer = await this.#ask(incoming, body);
      if (request !== null) answer = (await this.#rewrites.get(request.step)?.(answer, request)) ?? answer;
    }
    if (answer === "cut") {
      incoming.socket.destroy();
      return;
    }
    // The length may have changed, and the connection is this one's own.
    const { "content-length": _, connection: __, "transfer-encoding": ___, ...fields } = answer.fields;
    response.writeHead(answer.status, fields).end(incoming.method === "HEAD" ? "" : answer.body);
  }

  async #ask(incoming: IncomingMessage, body: string): Promise<CaAnswer> {
    const asked = https.request(new URL(incoming.url ?? "/", this.#pebble.directoryUrl), {
      agent: this.#agent,
      method: incoming.method ?? "GET",
      headers: incoming.headers,
    });
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    let text = "";
    answer.setEncoding("utf8");
    for await (const part of answer) text += String(part);
    return { status: answer.statusCode ?? 0, fields: answer.headers, body: text };
  }
}

export function json(status: number, body: object, fields: IncomingHttpHeaders = {}): CaAnswer {
  return { status, fields: { "content-type": "application/json", ...fields }, body: JSON.stringify(body) };
}

/** A problem document (RFC 8555 §6.7). */
export function problem(status: number, kind: string, fields: IncomingHttpHeaders = {}): CaAnswer {
  const type = `urn:ietf:params:acme:error:${kind}`;
  return json(status, { type, detail: `the test says ${kind}` }, fields);
}

function signedParts(body: string): Pick<CaRequest, "payload" | "signedBy"> {
  if (body === "") return { payload: null, signedBy: null };
  const jws = JSON.parse(body) as { payload: string; protected: string };
  const decode = (part: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
  return {
    payload: jws.payload === "" ? null : decode(jws.payload),
    signedBy: "kid" in decode(jws.protected) ? "kid" : "jwk",
  };
}
