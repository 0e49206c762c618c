import { createHash, createPublicKey, randomBytes, X509Certificate } from "node:crypto";
import { isIP, SocketAddress } from "node:net";
import type { Answer, SignedRequest } from "./answer.ts";
import { requestedKey } from "./certificate-request.ts";
import { mayCertify } from "./name-policy.ts";
import { AcmeRefusal } from "./problem.ts";
import { RateLimit } from "./rate-limit.ts";
import { orderStatus, type AccountRecord, type Identifier, type OrderRecord } from "./records.ts";
import { newRecordId, type Ask, type Registry } from "./registry.ts";
import {
  authorizationObject,
  authorizationUrl,
  challengeObject,
  orderObject,
  orderUrl,
} from "./representation.ts";
import type { Validator } from "./validator.ts";

const DAY = 24 * 3_600_000;
const MOST_NAMES = 20;

export interface OrdersOptions {
  readonly registry: Registry;
  readonly validator: Validator;
  readonly ask: Ask;
  /** As the configuration has them. */
  readonly names: readonly string[];
  readonly say: (level: "info" | "warn", message: string, fields: object) => void;
}

/** The requests about orders, authorizations and certificates (RFC 8555 §7.4, §7.5). */
export class Orders {
  readonly #options: OrdersOptions;
  readonly #finalizing = new Set<string>();
  readonly #limit = new RateLimit("orders of this account", 100, 3_600_000);

  constructor(options: OrdersOptions) {
    this.#options = options;
  }

  /** §7.4. */
  async create({ base, payload }: SignedRequest, account: AccountRecord): Promise<Answer> {
    const { registry, names } = this.#options;
    const wish = payload ?? {};
    if (wish["notBefore"] !== undefined || wish["notAfter"] !== undefined)
      throw new AcmeRefusal("malformed", "notBefore and notAfter are the CA's to choose");
    if (wish["profile"] !== undefined) throw new AcmeRefusal("malformed", "this CA offers no profiles");
    const identifiers = identifiersOf(wish["identifiers"], names);
    this.#limit.take(account.id);
    const now = Date.now();
    const order: OrderRecord = {
      id: newRecordId(),
      account: account.id,
      createdAt: now,
      expires: now + DAY,
      authorizations: identifiers.map((identifier) => ({
        identifier,
        status: "pending",
        // RFC 8555 §8.3 asks for 128 bits.
        token: randomBytes(32).toString("base64url"),
        asked: false,
        validatedAt: null,
        error: null,
      })),
      certificate: null,
    };
    await registry.addOrder(order);
    return {
      status: 201,
      fields: { Location: orderUrl(base, order.id) },
      body: orderObject(base, order, false),
    };
  }

  show({ base }: SignedRequest, account: AccountRecord, id: string): Answer {
    const order = this.#own(account, id);
    return {
      status: 200,
      fields: { Location: orderUrl(base, id), ...this.#later(order) },
      body: orderObject(base, order, this.#finalizing.has(id)),
    };
  }

  /** §7.5, and its deactivation (§7.5.2). */
  async authorization(
    { base, payload }: SignedRequest,
    account: AccountRecord,
    id: string,
    index: number,
  ): Promise<Answer> {
    let order = this.#own(account, id);
    if (order.authorizations[index] === undefined) throw notThere();
    if (payload !== null) {
      if (payload["status"] !== "deactivated")
        throw new AcmeRefusal("malformed", "an authorization can be deactivated, and nothing else");
      order = await this.#options.registry.updateOrder(id, (current) => ({
        ...current,
        authorizations: current.authorizations.map((each, at) =>
          at === index && each.status !== "invalid" ? { ...each, status: "deactivated" } : each,
        ),
      }));
    }
    return { status: 200, fields: this.#later(order), body: authorizationObject(base, order, index) };
  }

  /** §7.5.1: looked at by POST-as-GET; any object asks for the validation, once. */
  async challenge(
    { base, payload }: SignedRequest,
    account: AccountRecord,
    id: string,
    index: number,
  ): Promise<Answer> {
    const { registry, validator } = this.#options;
    let order = this.#own(account, id);
    const authorization = order.authorizations[index];
    if (authorization === undefined) throw notThere();
    if (payload !== null && authorization.status === "pending") {
      if (order.expires <= Date.now()) throw new AcmeRefusal("malformed", "the authorization has expired");
      if (!authorization.asked)
        order = await registry.updateOrder(id, (current) => ({
          ...current,
          authorizations: current.authorizations.map((each, at) =>
            at === index ? { ...each, asked: true } : each,
          ),
        }));
      validator.begin(id, index);
    }
    return {
      status: 200,
      fields: { Link: `<${authorizationUrl(base, id, index)}>;rel="up"`, ...this.#later(order) },
      body: challengeObject(base, order, index),
    };
  }

  /** §7.4: the certificate is there when this is answered, so there is no `processing` to wait through. */
  async finalize({ base, payload }: SignedRequest, account: AccountRecord, id: string): Promise<Answer> {
    const { registry, ask, say } = this.#options;
    const order = this.#own(account, id);
    const status = orderStatus(order, this.#finalizing.has(id), Date.now());
    if (status !== "ready") throw new AcmeRefusal("orderNotReady", `the order is ${status}, not ready`);
    this.#finalizing.add(id);
    try {
      const identifiers = order.authorizations.map(({ identifier }) => identifier);
      const accountKey = createPublicKey({ key: { ...account.jwk }, format: "jwk" });
      const publicKey = await requestedKey(payload?.["csr"], identifiers, [accountKey]);
      const names = identifiers.map(({ value }) => value);
      const chain = (await ask({ type: "sign", names, publicKey: publicKey.toString("base64") })) ?? "";
      const leaf = new X509Certificate(chain);
      const certificate = {
        chain,
        fingerprint: fingerprintOf(leaf.raw),
        notAfter: leaf.validToDate.getTime(),
        revoked: null,
      };
      const done = await registry.updateOrder(id, (current) => ({ ...current, certificate }));
      say("info", `certificate for ${names.join(", ")} issued`, {
        account: account.id,
        serial: leaf.serialNumber,
        notAfter: leaf.validTo,
      });
      return {
        status: 200,
        fields: { Location: orderUrl(base, id) },
        body: orderObject(base, done, false),
      };
    } finally {
      this.#finalizing.delete(id);
    }
  }

  /** §7.4.2. */
  certificate(account: AccountRecord, id: string): Answer {
    const { certificate } = this.#own(account, id);
    if (certificate === null) throw notThere();
    return {
      status: 200,
      fields: { "Content-Type": "application/pem-certificate-chain" },
      body: certificate.chain,
    };
  }

  /**
   * §7.6: by the account that ordered it, by one that has proven all of its names, or by the certificate's own key.
   * It is recorded and logged, and the CA will not take it for its own any more; docs/certificates-local-ca.md says
   * what that is worth.
   */
  async revoke({ payload, account, key }: SignedRequest): Promise<Answer> {
    const { registry, say } = this.#options;
    const { certificate: text, reason = 0 } = payload ?? {};
    if (typeof text !== "string" || !/^[A-Za-z0-9_-]{1,16384}$/.test(text))
      throw new AcmeRefusal("malformed", "certificate must be DER in base64url");
    const order = registry.orderOfCertificate(fingerprintOf(Buffer.from(text, "base64url")));
    if (order === undefined || order.certificate === null)
      throw new AcmeRefusal("unauthorized", "the certificate is not from here");
    const leaf = new X509Certificate(order.certificate.chain);
    const mine =
      account === null
        ? leaf.publicKey.equals(key.key)
        : order.account === account.id || this.#hasProven(account, order);
    if (!mine) throw new AcmeRefusal("unauthorized", "the certificate is somebody else's");
    // RFC 5280 §5.3.1. That a CA was compromised, or a hold, is not the holder's to say.
    if (![0, 1, 3, 4, 5].includes(reason as number))
      throw new AcmeRefusal("badRevocationReason", "reasons are 0, 1, 3, 4 and 5");
    await registry.updateOrder(order.id, (current) => {
      if (current.certificate === null || current.certificate.revoked !== null)
        throw new AcmeRefusal("alreadyRevoked", "the certificate was revoked before");
      const revoked = { at: Date.now(), reason: reason as number };
      return { ...current, certificate: { ...current.certificate, revoked } };
    });
    say("warn", `certificate for ${leaf.subjectAltName ?? ""} revoked`, {
      account: order.account,
      serial: leaf.serialNumber,
      reason,
    });
    return { status: 200, body: null };
  }

  #hasProven(account: AccountRecord, order: OrderRecord): boolean {
    const proven = new Set(
      this.#options.registry
        .ordersOf(account.id)
        .filter(({ expires }) => expires > Date.now())
        .flatMap(({ authorizations }) => authorizations.filter(({ status }) => status === "valid"))
        .map(({ identifier }) => identifier.value),
    );
    return order.authorizations.every(({ identifier }) => proven.has(identifier.value));
  }

  /** Of others no order is said to be there. */
  #own(account: AccountRecord, id: string): OrderRecord {
    const order = this.#options.registry.order(id);
    if (order === undefined || order.account !== account.id) throw notThere();
    return order;
  }

  #later(order: OrderRecord): Record<string, string> {
    const waits = order.authorizations.some(({ asked, status }) => asked && status === "pending");
    return waits ? { "Retry-After": "1" } : {};
  }
}

function notThere(): AcmeRefusal {
  return new AcmeRefusal("malformed", "there is no such object of this account", { status: 404 });
}

function identifiersOf(value: unknown, allowed: readonly string[]): Identifier[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_NAMES)
    throw new AcmeRefusal("malformed", `identifiers must be a list of 1 to ${MOST_NAMES}`);
  const found = new Map<string, Identifier>();
  for (const item of value as unknown[]) {
    const { type, value: written } = (item ?? {}) as Record<string, unknown>;
    if (type !== "dns" && type !== "ip")
      throw new AcmeRefusal("unsupportedIdentifier", "identifiers are of type dns or ip");
    if (typeof written !== "string") throw new AcmeRefusal("malformed", "an identifier has no value");
    const name = canonical(type, written);
    if (name === null || !mayCertify(allowed, name))
      throw new AcmeRefusal(
        "rejectedIdentifier",
        `this CA is not here for ${JSON.stringify(written.slice(0, 253))}`,
        {
          members: { identifier: { type, value: written.slice(0, 253) } },
        },
      );
    found.set(name, { type, value: name });
  }
  return [...found.values()];
}

function canonical(type: "dns" | "ip", value: string): string | null {
  if (type === "dns") return isIP(value) === 0 ? value.toLowerCase() : null;
  if (isIP(value) === 0 || value.includes("%")) return null;
  return isIP(value) === 6 ? new SocketAddress({ address: value, family: "ipv6" }).address : value;
}

function fingerprintOf(certificate: Buffer): string {
  return createHash("sha256").update(certificate).digest("hex");
}
