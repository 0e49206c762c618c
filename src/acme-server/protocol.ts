import { Accounts } from "./accounts.ts";
import type { Answer, SignedRequest } from "./answer.ts";
import { IssuedNonces } from "./nonces.ts";
import type { Orders } from "./orders.ts";
import { AcmeRefusal } from "./problem.ts";
import { accountKey } from "./public-key.ts";
import type { AccountRecord } from "./records.ts";
import type { Registry } from "./registry.ts";
import { directory, PATHS } from "./representation.ts";
import { embeddedKey, readJws, verifiedPayload } from "./signed-request.ts";

const ID = "([A-Za-z0-9_-]{22})";
const ACCOUNT_PATH = new RegExp(`^/acme/account/${ID}$`);

/** An HTTP request as the protocol sees it. */
export interface ProtocolRequest {
  readonly method: string;
  /** Of the target, without a query, which no resource has. */
  readonly path: string;
  /** `https://HOST:PORT` as the client called it, the host being one of ours. */
  readonly base: string;
  /** What identifies the client for limits. */
  readonly client: string;
  readonly contentType: string;
  readonly body: string;
}

/** RFC 8555 without HTTP: a request in, an answer or an AcmeRefusal out. */
export class Protocol {
  readonly nonces = new IssuedNonces();
  readonly #registry: Registry;
  readonly #orders: Orders;
  readonly #accounts: Accounts;
  readonly #hosts: ReadonlySet<string>;

  constructor(options: { registry: Registry; orders: Orders; hosts: readonly string[] }) {
    this.#registry = options.registry;
    this.#orders = options.orders;
    this.#accounts = new Accounts(options.registry);
    this.#hosts = new Set(options.hosts);
  }

  /** @throws AcmeRefusal */
  async answer(request: ProtocolRequest): Promise<Answer> {
    const { method, path, base } = request;
    const reads = method === "GET" || method === "HEAD";
    if (path === "/directory" && reads) return { status: 200, body: directory(base) };
    if (path === PATHS.newNonce && reads) return { status: method === "HEAD" ? 200 : 204, body: null };
    if (method !== "POST")
      throw new AcmeRefusal("malformed", "resources are read by POST-as-GET", { status: 405 });
    if (request.contentType !== "application/jose+json")
      throw new AcmeRefusal("malformed", "the body must be application/jose+json", { status: 415 });
    return await this.#signed(request);
  }

  async #signed({ path, base, client, body }: ProtocolRequest): Promise<Answer> {
    const url = base + path;
    const jws = readJws(jsonOf(body));
    this.nonces.use(jws.header["nonce"]);
    if (jws.header["url"] !== url)
      throw new AcmeRefusal("unauthorized", "the request is signed for another url");
    const account = "kid" in jws.header ? this.#accountOf(jws.header["kid"]) : null;
    const key = account === null ? embeddedKey(jws) : accountKey(account.jwk);
    const request: SignedRequest = { base, key, account, payload: await verifiedPayload(jws, key) };

    if (path === PATHS.newAccount) {
      if (account !== null) throw new AcmeRefusal("malformed", "a new account is asked for with jwk");
      return await this.#accounts.create(request, client);
    }
    if (path === PATHS.revokeCert) return await this.#orders.revoke(request);
    if (account === null) throw new AcmeRefusal("malformed", "this request must name its account by kid");
    return await this.#ofAccount(request, account, path);
  }

  async #ofAccount(request: SignedRequest, account: AccountRecord, path: string): Promise<Answer> {
    const orders = this.#orders;
    if (path === PATHS.newOrder) return await orders.create(request, account);
    if (path === PATHS.keyChange)
      return await this.#accounts.changeKey(
        request,
        account,
        request.base + path,
        (kid) => this.#accountOf(kid).id === account.id,
      );
    const [, kind, id = "", rest = ""] =
      /^\/acme\/(account|order|authorization|challenge|certificate)\/([A-Za-z0-9_-]{22})(?:\/([a-z]+|\d{1,2}))?$/.exec(
        path,
      ) ?? [];
    switch (`${kind} ${/^\d+$/.test(rest) ? "N" : rest}`) {
      case "account ":
        if (id !== account.id) throw new AcmeRefusal("unauthorized", "the account is somebody else's");
        return await this.#accounts.update(request, account);
      case "account orders":
        if (id !== account.id) throw new AcmeRefusal("unauthorized", "the account is somebody else's");
        return this.#accounts.orders(request, account);
      case "order ":
        return orders.show(request, account, id);
      case "order finalize":
        return await orders.finalize(request, account, id);
      case "authorization N":
        return await orders.authorization(request, account, id, Number(rest));
      case "challenge N":
        return await orders.challenge(request, account, id, Number(rest));
      case "certificate ":
        return orders.certificate(account, id);
      default:
        throw new AcmeRefusal("malformed", "there is no such resource", { status: 404 });
    }
  }

  /** An account by its URL, under whichever of our hosts it was made. */
  #accountOf(kid: unknown): AccountRecord {
    const url = typeof kid === "string" ? URL.parse(kid) : null;
    const host = url?.hostname.replace(/^\[(.*)\]$/, "$1") ?? "";
    const [, id] = (url?.protocol === "https:" && ACCOUNT_PATH.exec(url.pathname)) || [];
    const account = id === undefined || !this.#hosts.has(host) ? undefined : this.#registry.account(id);
    if (account === undefined)
      throw new AcmeRefusal("accountDoesNotExist", "there is no such account; register it anew");
    if (account.status !== "valid") throw new AcmeRefusal("unauthorized", "the account was deactivated");
    return account;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new AcmeRefusal("malformed", "the body is no JSON");
  }
}
