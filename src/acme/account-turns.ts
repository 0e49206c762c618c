import { PaddockError } from "../errors.ts";
import type { AccountKeeper } from "./stored-account.ts";

const all = new WeakMap<AccountKeeper, AccountTurns>();

/**
 * Who may read and change a kept account: one after the other, for all issuers that share its keeper, which those
 * before and after a reload do. Else two orders would register two accounts, and one that reads between the two
 * halves of a rollover would undo the first.
 */
export class AccountTurns {
  #last: Promise<unknown> = Promise.resolve();
  /** Orders that sign with the account's key, or are about to. */
  #orders = 0;

  static of(keeper: AccountKeeper): AccountTurns {
    const turns = all.get(keeper) ?? new AccountTurns();
    all.set(keeper, turns);
    return turns;
  }

  /** Runs `task` when those before it have ended. */
  async take<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(task);
    this.#last = turn.catch(() => {});
    return await turn;
  }

  /** Runs an order, during which the account's key and the account itself stay what they are. */
  async order<T>(task: () => Promise<T>): Promise<T> {
    this.#orders += 1;
    try {
      return await task();
    } finally {
      this.#orders -= 1;
    }
  }

  /**
   * Runs what changes the key or ends the account; orders that begin meanwhile wait for it.
   *
   * @throws PaddockError `acme.order-under-way`
   */
  async change(issuer: string, task: () => Promise<void>): Promise<void> {
    await this.take(async () => {
      if (this.#orders === 0) return await task();
      throw new PaddockError("acme.order-under-way", `an order at ${issuer} is under way`, {
        fix: "Ask again when it has ended; `paddock certs list` shows it.",
      });
    });
  }
}
