import type { Answer, SignedRequest } from "./answer.ts";
import { AcmeRefusal } from "./problem.ts";
import type { AccountKey } from "./public-key.ts";
import { RateLimit } from "./rate-limit.ts";
import type { AccountRecord } from "./records.ts";
import { newRecordId, type Registry } from "./registry.ts";
import { accountObject, accountUrl, orderUrl } from "./representation.ts";
import { embeddedKey, readJws, verifiedPayload } from "./signed-request.ts";

const MOST_CONTACTS = 5;

/** The requests about accounts (RFC 8555 §7.3). */
export class Accounts {
  readonly #registry: Registry;
  /** By the client's address. */
  readonly #limit = new RateLimit("new accounts from this address", 20, 3_600_000);

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** §7.3, with onlyReturnExisting (§7.3.1). */
  async create({ base, payload, key }: SignedRequest, client: string): Promise<Answer> {
    const wish = payload ?? {};
    const known = this.#registry.accountOfKey(key.thumbprint);
    if (known !== undefined) return existing(base, known);
    if (wish["onlyReturnExisting"] === true)
      throw new AcmeRefusal("accountDoesNotExist", "there is no account with this key");
    const contact = contactOf(wish["contact"] ?? []);
    this.#limit.take(client);
    const account: AccountRecord = {
      id: newRecordId(),
      thumbprint: key.thumbprint,
      jwk: key.jwk,
      contact,
      status: "valid",
      createdAt: Date.now(),
    };
    const added = await this.#registry.addAccount(account);
    if (added.id !== account.id) return existing(base, added);
    return {
      status: 201,
      fields: { Location: accountUrl(base, added.id) },
      body: accountObject(base, added),
    };
  }

  /** §7.3.2 and §7.3.6: contacts, and deactivation. */
  async update({ base, payload }: SignedRequest, account: AccountRecord): Promise<Answer> {
    const wish = payload ?? {};
    const contact = wish["contact"] === undefined ? null : contactOf(wish["contact"]);
    const status = wish["status"];
    if (status !== undefined && status !== "deactivated" && status !== account.status)
      throw new AcmeRefusal("malformed", "an account can be deactivated, and nothing else");
    const changed =
      contact === null && status !== "deactivated"
        ? account
        : await this.#registry.updateAccount(account.id, (current) => ({
            ...current,
            contact: contact ?? current.contact,
            status: status === "deactivated" ? status : current.status,
          }));
    return { status: 200, body: accountObject(base, changed) };
  }

  /** §7.1.2.1. */
  orders({ base }: SignedRequest, account: AccountRecord): Answer {
    const orders = this.#registry.ordersOf(account.id).map(({ id }) => orderUrl(base, id));
    return { status: 200, body: { orders } };
  }

  /**
   * §7.3.5: the payload is a JWS of its own, by the new key, which names the account and the old key.
   *
   * @param url of the request, which the inner JWS must name too.
   */
  async changeKey(
    { base, payload, key }: SignedRequest,
    account: AccountRecord,
    url: string,
    isAccountUrl: (kid: unknown) => boolean,
  ): Promise<Answer> {
    const inner = readJws(payload);
    if ("kid" in inner.header || "nonce" in inner.header || inner.header["url"] !== url)
      throw new AcmeRefusal("malformed", "the inner JWS must have jwk and the same url, and no nonce");
    const next: AccountKey = embeddedKey(inner);
    const change = await verifiedPayload(inner, next);
    if (!isAccountUrl(change?.["account"]))
      throw new AcmeRefusal("malformed", "the inner JWS is about another account");
    const old = change?.["oldKey"] as Readonly<Record<string, unknown>> | undefined;
    if (!Object.entries(key.jwk).every(([member, value]) => old?.[member] === value))
      throw new AcmeRefusal("malformed", "oldKey is not the key of the account");
    const holder = this.#registry.accountOfKey(next.thumbprint);
    if (holder !== undefined)
      throw new AcmeRefusal("malformed", "the new key is an account's already", {
        status: 409,
        location: accountUrl(base, holder.id),
      });
    const changed = await this.#registry.updateAccount(account.id, (current) => ({
      ...current,
      jwk: next.jwk,
      thumbprint: next.thumbprint,
    }));
    return { status: 200, body: accountObject(base, changed) };
  }
}

function existing(base: string, account: AccountRecord): Answer {
  if (account.status !== "valid") throw new AcmeRefusal("unauthorized", "the account was deactivated");
  return {
    status: 200,
    fields: { Location: accountUrl(base, account.id) },
    body: accountObject(base, account),
  };
}

/** Kept for the operator, and never written to: an address is not tried, only read. */
function contactOf(value: unknown): string[] {
  if (!Array.isArray(value) || value.length > MOST_CONTACTS)
    throw new AcmeRefusal("invalidContact", `contact must be a list of ${MOST_CONTACTS} at most`);
  return (value as unknown[]).map((contact) => {
    if (typeof contact !== "string" || contact.length > 254)
      throw new AcmeRefusal("invalidContact", "a contact must be text of 254 characters at most");
    if (!contact.startsWith("mailto:"))
      throw new AcmeRefusal("unsupportedContact", "contacts are mailto: addresses");
    // RFC 8555 §7.3: without hfields, and one address.
    if (!/^mailto:[^\s@,?<>]+@[^\s@,?<>]+$/.test(contact))
      throw new AcmeRefusal("invalidContact", "a contact is no single e-mail address");
    return contact;
  });
}
