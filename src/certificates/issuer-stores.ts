import { AccountStore } from "./account-store.ts";
import type { DamagedFiles } from "./damaged.ts";
import { OrderStore } from "./order-store.ts";

/** What is kept for the ACME client, by issuer; the same objects for all that ask, also after a reload. */
export class IssuerStores {
  readonly #parts: { readonly storage: string; readonly damaged: DamagedFiles };
  readonly #accounts = new Map<string, AccountStore>();
  readonly #orders = new Map<string, OrderStore>();

  constructor(parts: { readonly storage: string; readonly damaged: DamagedFiles }) {
    this.#parts = parts;
  }

  /** Where the account at one issuer is kept. */
  accounts(issuer: string): AccountStore {
    const store = this.#accounts.get(issuer) ?? new AccountStore({ ...this.#parts, issuer });
    this.#accounts.set(issuer, store);
    return store;
  }

  /** Where orders under way at one issuer are kept. */
  orders(issuer: string): OrderStore {
    const store = this.#orders.get(issuer) ?? new OrderStore({ ...this.#parts, issuer });
    this.#orders.set(issuer, store);
    return store;
  }
}
