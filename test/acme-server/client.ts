/** An ACME client that also says what no client should: each part of a request can be another one. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { Agent, request } from "node:https";
import { FlattenedSign } from "jose";

export interface AcmeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Record<string, unknown>;
  /** The end of the problem's type. */
  readonly problem: string | undefined;
}

export interface Oddities {
  readonly nonce?: string;
  readonly url?: string;
  readonly kid?: string | null;
  readonly alg?: string;
  readonly contentType?: string;
  readonly host?: string;
  readonly header?: object;
  /** Changes the JWS after it was signed. */
  readonly spoil?: (jws: Record<string, unknown>) => unknown;
}

export interface Key {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly alg: string;
}

export function ecKey(): Key {
  return { ...generateKeyPairSync("ec", { namedCurve: "P-256" }), alg: "ES256" };
}

export class Client {
  readonly base: string;
  readonly key: Key;
  kid: string | null = null;
  readonly #ca: Buffer;
  readonly #agent: Agent;
  /** Of answers, for the next request. */
  readonly #kept: string[] = [];

  constructor(base: string, ca: Buffer, key = ecKey()) {
    this.base = base;
    this.key = key;
    this.#ca = ca;
    this.#agent = new Agent({ keepAlive: false });
  }

  get jwk(): Record<string, unknown> {
    return { ...this.key.publicKey.export({ format: "jwk" }) };
  }

  async register(contact: string[] = []): Promise<AcmeAnswer> {
    const answer = await this.post("/acme/new-account", { termsOfServiceAgreed: true, contact });
    this.kid = answer.headers.location ?? null;
    return answer;
  }

  async nonce(): Promise<string> {
    return String((await this.raw("HEAD", "/acme/new-nonce")).headers["replay-nonce"]);
  }

  /** Signed; `payload` null is POST-as-GET. A target may be a whole URL of an object. */
  async post(target: string, payload: unknown, odd: Oddities = {}): Promise<AcmeAnswer> {
    const path = target.startsWith("http") ? new URL(target).pathname : target;
    const kid = odd.kid === undefined ? this.kid : odd.kid;
    const header = {
      alg: odd.alg ?? this.key.alg,
      nonce: odd.nonce ?? this.#kept.pop() ?? (await this.nonce()),
      url: odd.url ?? this.base + path,
      ...(kid === null ? { jwk: this.jwk } : { kid }),
      ...odd.header,
    };
    const text = payload === null ? "" : JSON.stringify(payload);
    const jws = await new FlattenedSign(new TextEncoder().encode(text))
      .setProtectedHeader(header)
      .sign(this.key.privateKey);
    const answer = await this.raw("POST", path, JSON.stringify(odd.spoil?.({ ...jws }) ?? jws), odd);
    const next = answer.headers["replay-nonce"];
    if (typeof next === "string") this.#kept.push(next);
    // After a restart of the server all kept ones are bad (RFC 8555 §6.5).
    const repeat = answer.problem === "badNonce" && odd.nonce === undefined && odd.header === undefined;
    return repeat ? await this.post(target, payload, { ...odd, nonce: await this.nonce() }) : answer;
  }

  async raw(method: string, path: string, body?: string, odd: Oddities = {}): Promise<AcmeAnswer> {
    const url = new URL(this.base);
    const asked = request({
      agent: this.#agent,
      ca: this.#ca,
      method,
      path,
      // A name that it is not called: the certificate is not for it either.
      ...(odd.host === undefined ? {} : { checkServerIdentity: () => undefined }),
      host: url.hostname,
      port: url.port,
      headers: {
        Host: odd.host ?? url.host,
        ...(body === undefined
          ? {}
          : {
              "Content-Type": odd.contentType ?? "application/jose+json",
              "Content-Length": Buffer.byteLength(body),
            }),
      },
    });
    asked.setTimeout(20_000, () => asked.destroy(new Error("no answer in 20 s")));
    // The server may answer and close before it has read a body that is too long.
    const broken = new Promise<never>((_, reject) => {
      asked.once("error", reject);
    });
    broken.catch(() => undefined);
    asked.end(body);
    const [response] = (await Promise.race([once(asked, "response"), broken])) as [
      import("node:http").IncomingMessage,
    ];
    let text = "";
    response.setEncoding("utf8");
    for await (const part of response) text += String(part);
    const isJson = text !== "" && /json/.test(response.headers["content-type"] ?? "");
    const parsed = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
    const type = parsed["type"];
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: parsed,
      problem: typeof type === "string" && type.startsWith("urn:") ? type.split(":").at(-1) : undefined,
    };
  }
}
