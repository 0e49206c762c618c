import http from "node:http";
import https from "node:https";
import { rootCertificates } from "node:tls";
import { messageOf, PaddockError, systemErrorCode } from "../errors.ts";

export interface TransportOptions {
  /** PEM certificates to trust beside Node's own list. */
  readonly trustedRoots: string | null;
  readonly userAgent: string;
  /** For one request, from the first byte to the last, in milliseconds. */
  readonly timeout?: number;
}

export interface TransportRequest {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: string;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface TransportResponse {
  readonly status: number;
  readonly fields: http.IncomingHttpHeaders;
  readonly body: string;
}

/** No response of an ACME server comes near it; a chain has some 10 KB. */
const LARGEST_RESPONSE = 1024 * 1024;

/** Connections to one CA at once; also how many may turn out stale in a row. */
const POOL = 6;

/**
 * HTTP as ACME needs it (RFC 8555 §6.1): https, a User-Agent, no redirects, bounded in time and size.
 *
 * fetch() is not used: it takes no `ca`, and its errors hide the system error two causes deep.
 */
export class Transport {
  readonly #secure: https.Agent;
  readonly #plain: http.Agent;
  readonly #userAgent: string;
  readonly #timeout: number;

  constructor(options: TransportOptions) {
    const ca = options.trustedRoots === null ? undefined : [...rootCertificates, options.trustedRoots];
    const pool = { keepAlive: true, maxSockets: POOL };
    this.#secure = new https.Agent(ca === undefined ? pool : { ...pool, ca });
    this.#plain = new http.Agent(pool);
    this.#userAgent = options.userAgent;
    this.#timeout = options.timeout ?? 30_000;
  }

  /** @throws PaddockError `acme.unreachable`, `acme.timeout`, `acme.insecure`, `acme.response-too-large`; the signal's reason when aborted. */
  async send(request: TransportRequest): Promise<TransportResponse> {
    const url = checkedUrl(request.url);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#exchange(url, request);
      } catch (error) {
        // The server closed the idle connection as we reused it, so it did not see the request (RFC 9112 §9.3.1).
        if (!(error instanceof StaleConnection)) throw error;
        if (attempt > POOL) throw unreachable(url, error.cause);
      }
    }
  }

  #exchange(url: URL, request: TransportRequest): Promise<TransportResponse> {
    const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>();
    const timeout = AbortSignal.timeout(this.#timeout);
    let answered = false;
    const stale = (error: unknown): boolean =>
      outgoing.reusedSocket && !answered && systemErrorCode(error) === "ECONNRESET";
    const fail = (error: unknown): void => {
      if (request.signal.aborted) reject(request.signal.reason as Error);
      else if (timeout.aborted) reject(timedOut(url, this.#timeout));
      else if (error instanceof PaddockError) reject(error);
      else if (stale(error)) reject(new StaleConnection("stale", { cause: error }));
      else reject(unreachable(url, error));
    };
    const module = url.protocol === "https:" ? https : http;
    const outgoing = module.request(url, {
      agent: url.protocol === "https:" ? this.#secure : this.#plain,
      method: request.method,
      signal: AbortSignal.any([request.signal, timeout]),
      headers: {
        "User-Agent": this.#userAgent,
        Accept: request.accept ?? "application/json",
        ...(request.contentType === undefined ? {} : { "Content-Type": request.contentType }),
        ...(request.body === undefined ? {} : { "Content-Length": Buffer.byteLength(request.body) }),
      },
    });
    outgoing.on("error", fail);
    outgoing.on("response", (incoming) => {
      answered = true;
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on("error", fail);
      incoming.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > LARGEST_RESPONSE) incoming.destroy(tooLarge(url));
        else chunks.push(chunk);
      });
      incoming.on("end", () => {
        const body = Buffer.concat(chunks).toString("utf8");
        resolve({ status: incoming.statusCode ?? 0, fields: incoming.headers, body });
      });
    });
    outgoing.end(request.body);
    return promise;
  }
}

class StaleConnection extends Error {}

/** Plain http is for a CA on this machine only, as RFC 8555 §6.1 asks for https. */
function checkedUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === "https:") return url;
  const loopback = url !== null && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "http:" && loopback) return url;
  throw new PaddockError("acme.insecure", `the CA's address ${text} is not an https URL`, {
    fix: "Give the directory as https://…",
  });
}

function timedOut(url: URL, timeout: number): PaddockError {
  return new PaddockError("acme.timeout", `${url.host} did not answer within ${timeout / 1000} s`, {
    fix: "Check that outgoing connections to the CA are not held by a firewall; the attempt is repeated.",
  });
}

function tooLarge(url: URL): PaddockError {
  return new PaddockError("acme.response-too-large", `${url.href} sent more than ${LARGEST_RESPONSE} bytes`, {
    fix: "Check that the directory URL is the CA's.",
  });
}

const NETWORK_FIXES: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    "Nothing listens there: check the directory URL, and that the CA is up. The attempt is repeated.",
  ENOTFOUND: "The CA's name does not resolve: check the directory URL and this machine's DNS resolver.",
  EAI_AGAIN: "DNS does not answer: check this machine's resolver (/etc/resolv.conf).",
  ENETUNREACH: "This machine has no route to the CA: check its network.",
  EHOSTUNREACH: "This machine has no route to the CA: check its network and firewall.",
  ETIMEDOUT: "Check that outgoing connections to the CA are not dropped by a firewall.",
};

function unreachable(url: URL, cause: unknown): PaddockError {
  const code = systemErrorCode(cause) ?? "";
  // Nobody can hold the clock that OpenSSL reads, so this one is the machine's too.
  const timely = ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"].includes(code)
    ? `Its TLS certificate is not valid by the clock of this machine, which says ${new Date().toISOString()}: check that it is right and kept by NTP (\`timedatectl\`). If it is, the CA has to renew its own certificate.`
    : undefined;
  const certificate = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code)
    ? "The CA's own TLS certificate is not trusted: set trustedRoots of this issuer to the PEM file of its root."
    : undefined;
  // A connection attempt to several addresses fails as an AggregateError with an empty message.
  const reason = messageOf(cause) === "" ? code : messageOf(cause);
  const fix =
    timely ??
    certificate ??
    NETWORK_FIXES[code] ??
    "The connection to the CA broke; the attempt is repeated.";
  return new PaddockError("acme.unreachable", `cannot talk to the CA at ${url.host}: ${reason}`, {
    fix,
    cause,
  });
}
