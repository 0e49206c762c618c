import { randomBytes } from "node:crypto";
import type { AcmeServerWish } from "./messages.ts";
import { AcmeRefusal } from "./problem.ts";
import type { AccountRecord, OrderRecord } from "./records.ts";

const DAY = 24 * 3_600_000;
const MOST_ACCOUNTS = 1000;
const MOST_ORDERS = 5000;
/** Of one account. */
const MOST_ORDERS_EACH = 500;
/** An account without an order is kept so long. */
const IDLE_ACCOUNT = 90 * DAY;

/** Asks the supervisor; resolves once it is durable, or with the certificate. */
export type Ask = (wish: AcmeServerWish) => Promise<string | null>;

export function newRecordId(): string {
  return randomBytes(16).toString("base64url");
}

/**
 * Accounts and orders, in memory and on disk. A change is on disk before it is in memory, so that no client is told
 * of what a crash would undo; changes of one record wait for each other.
 */
export class Registry {
  readonly #ask: Ask;
  readonly #now: () => number;
  readonly #accounts: Map<string, AccountRecord>;
  readonly #orders: Map<string, OrderRecord>;
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(
    records: { accounts: readonly AccountRecord[]; orders: readonly OrderRecord[] },
    ask: Ask,
    now: () => number = Date.now,
  ) {
    this.#accounts = new Map(records.accounts.map((account) => [account.id, account]));
    this.#orders = new Map(records.orders.map((order) => [order.id, order]));
    this.#ask = ask;
    this.#now = now;
  }

  account(id: string): AccountRecord | undefined {
    return this.#accounts.get(id);
  }

  accountOfKey(thumbprint: string): AccountRecord | undefined {
    return [...this.#accounts.values()].find((account) => account.thumbprint === thumbprint);
  }

  order(id: string): OrderRecord | undefined {
    return this.#orders.get(id);
  }

  ordersOf(account: string): OrderRecord[] {
    return [...this.#orders.values()].filter((order) => order.account === account);
  }

  orderOfCertificate(fingerprint: string): OrderRecord | undefined {
    return [...this.#orders.values()].find(({ certificate }) => certificate?.fingerprint === fingerprint);
  }

  /** Those whose validation was asked for and not finished. */
  unfinished(): OrderRecord[] {
    return [...this.#orders.values()].filter(({ authorizations }) =>
      authorizations.some(({ asked, status }) => asked && status === "pending"),
    );
  }

  /** Two at once with one key are one account. */
  async addAccount(account: AccountRecord): Promise<AccountRecord> {
    return await this.#inTurn(`key ${account.thumbprint}`, async () => {
      const known = this.accountOfKey(account.thumbprint);
      if (known !== undefined) return known;
      if (this.#accounts.size >= MOST_ACCOUNTS)
        throw new AcmeRefusal("rateLimited", "there are as many accounts as this CA keeps", {
          retryAfter: 3600,
        });
      await this.#ask({ type: "save", kind: "accounts", record: account });
      this.#accounts.set(account.id, account);
      return account;
    });
  }

  async addOrder(order: OrderRecord): Promise<void> {
    if (this.#orders.size >= MOST_ORDERS || this.ordersOf(order.account).length >= MOST_ORDERS_EACH)
      throw new AcmeRefusal("rateLimited", "there are as many orders as this CA keeps", { retryAfter: 3600 });
    // Before it is on disk, so that many at once cannot pass the bound; its address is not known to anybody yet.
    this.#orders.set(order.id, order);
    try {
      await this.#ask({ type: "save", kind: "orders", record: order });
    } catch (error) {
      this.#orders.delete(order.id);
      throw error;
    }
  }

  async updateAccount(id: string, change: (account: AccountRecord) => AccountRecord): Promise<AccountRecord> {
    return await this.#inTurn(id, async () => {
      const record = change(this.#accounts.get(id) as AccountRecord);
      await this.#ask({ type: "save", kind: "accounts", record });
      this.#accounts.set(id, record);
      return record;
    });
  }

  async updateOrder(id: string, change: (order: OrderRecord) => OrderRecord): Promise<OrderRecord> {
    return await this.#inTurn(id, async () => {
      const record = change(this.#orders.get(id) as OrderRecord);
      await this.#ask({ type: "save", kind: "orders", record });
      this.#orders.set(id, record);
      return record;
    });
  }

  /** Forgets what has ended: orders a day after they expired, certificates after their end, accounts without orders. */
  async clean(): Promise<void> {
    const now = this.#now();
    for (const { id, expires, certificate } of this.#orders.values()) {
      if ((certificate?.notAfter ?? expires) + DAY > now) continue;
      await this.#ask({ type: "remove", kind: "orders", recordId: id });
      this.#orders.delete(id);
    }
    for (const { id, createdAt } of this.#accounts.values()) {
      if (createdAt + IDLE_ACCOUNT > now || this.ordersOf(id).length > 0) continue;
      await this.#ask({ type: "remove", kind: "accounts", recordId: id });
      this.#accounts.delete(id);
    }
  }

  async #inTurn<T>(key: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(act);
    const settled = turn.catch(() => undefined);
    this.#turns.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    }
  }
}
