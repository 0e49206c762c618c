import { PaddockError } from "../errors.ts";
import type { Account } from "./account.ts";
import type { AcmeResponse, Session } from "./session.ts";

/** Orders whose proofs are all given up; a CA may hold more than one for a name. */
const MOST_ROUNDS = 10;
/** Milliseconds for giving back what a rehearsal has proven. */
const FAREWELL = 10_000;

/**
 * Sees to it that a rehearsal proves each name. CAs hold an authorization for hours to weeks and ask for none in
 * the meantime, so an order may succeed behind a closed firewall. Those that an order inherits are deactivated
 * (RFC 8555 §7.5.2), which ends the order, and so are its own when it is over.
 */
export class FreshProofs {
  readonly #session: Session;
  readonly #account: Account;
  /** Made in this rehearsal. */
  readonly #own = new Set<string>();
  #rounds = 0;

  constructor(session: Session, account: Account) {
    this.#session = session;
    this.#account = account;
  }

  /**
   * Gives up what a new order inherits.
   *
   * @param urls its authorizations.
   * @returns whether there was anything; another order has to be made then.
   * @throws PaddockError `acme.held-proofs` where the CA does not let go of them.
   */
  async renounce(urls: readonly string[]): Promise<boolean> {
    const foreign = urls.filter((url) => !this.#own.has(url));
    const authorizations = await Promise.all(
      foreign.map(async (url) => [url, await this.#session.post(url, null, this.#account)] as const),
    );
    const inherited = authorizations.filter(([, authorization]) => isValid(authorization));
    if (inherited.length === 0) {
      for (const url of foreign) this.#own.add(url);
      return false;
    }
    if (++this.#rounds > MOST_ROUNDS)
      throw new PaddockError("acme.held-proofs", "the CA goes on using proofs that it was asked to forget", {
        fix: "Nothing was rehearsed. Try again when they have expired, hours or weeks from now.",
      });
    await Promise.all(inherited.map(([url]) => deactivate(this.#session, this.#account, url)));
    return true;
  }

  /** Never rejects: what is left behind is given up by the next rehearsal. */
  async giveBack(): Promise<void> {
    if (this.#session.interrupted) return;
    const farewell = this.#session.with(AbortSignal.timeout(FAREWELL));
    const given = [...this.#own].map((url) => deactivate(farewell, this.#account, url));
    // One that failed is invalid already, and refuses.
    await Promise.allSettled(given);
  }
}

async function deactivate(session: Session, account: Account, url: string): Promise<void> {
  await session.post(url, { status: "deactivated" }, account);
}

function isValid(authorization: AcmeResponse): boolean {
  return authorization.body["status"] === "valid";
}
