import type { Clock } from "../clock.ts";
import type { Logger } from "../logging/logger.ts";
import { forgetRegistration, openAccount, type Account, type ExternalAccount } from "./account.ts";
import { deactivateAccount, rollOver } from "./account-changes.ts";
import { AccountTurns } from "./account-turns.ts";
import { fulfilAuthorization, type Proving } from "./authorization.ts";
import { ChallengeTrials } from "./challenge-trials.ts";
import type { ChallengeBoard } from "./challenge.ts";
import { fetchDirectory, type Directory } from "./directory.ts";
import { checkAddresses } from "./issuer-checks.ts";
import { isLeftOver, type OrderKeeper } from "./kept-order.ts";
import { FreshProofs } from "./fresh-proofs.ts";
import { NoncePool } from "./nonces.ts";
import type { Observer } from "./observation.ts";
import { checkedProfile } from "./order.ts";
import { obtainCertificate, type CertificateWish, type IssuedChain } from "./ordering.ts";
import type { Preflight } from "./preflight.ts";
import { isProblem } from "./problem.ts";
import { fetchRenewalInfo, type RenewalInfo } from "./renewal-info.ts";
import { revokeCertificate } from "./revocation.ts";
import { PartFailed, Session } from "./session.ts";
import type { AccountKeeper } from "./stored-account.ts";
import { Transport } from "./transport.ts";

export interface AcmeIssuerOptions {
  /** In metrics, in `status` and in the storage. */
  readonly name: string;
  readonly directory: string;
  readonly profile: string | null;
  readonly eab: ExternalAccount | null;
  /** PEM text. */
  readonly trustedRoots: string | null;
  readonly email: string | null;
  /** Common name of the root that chains should lead to; null for the CA's default. */
  readonly preferredChain?: string | null;
  readonly accounts: AccountKeeper;
  /** Without it an order that a crash ends is made anew. */
  readonly orders?: OrderKeeper;
  /** It orders to see whether that can be done: each name is proven anew, and a profile is asked for where it is offered. */
  readonly rehearses?: boolean;
  /** Of the same CA, one that rehearses. */
  readonly staging?: AcmeIssuer | null;
  readonly board: ChallengeBoard;
  /** Without it nothing is looked at before an order. */
  readonly preflight?: Preflight | null;
  readonly clock: Clock;
  readonly log?: Logger;
  /** Paddock's, for the User-Agent (RFC 8555 §6.1). */
  readonly version: string;
  /** For one HTTP request, milliseconds; 30 s unless given. */
  readonly requestTimeout?: number;
}

const DAY = 24 * 3_600_000;

/** Obtains certificates from an ACME CA. `issue` reads as RFC 8555 §7.1 draws it. */
export class AcmeIssuer {
  readonly name: string;
  readonly staging: AcmeIssuer | null;
  readonly directory: string;
  readonly #options: AcmeIssuerOptions;
  readonly #transport: Transport;
  readonly #nonces: NoncePool;
  readonly #turns: AccountTurns;

  constructor(options: AcmeIssuerOptions) {
    this.name = options.name;
    this.staging = options.staging ?? null;
    this.directory = options.directory;
    this.#options = options;
    this.#transport = new Transport({
      trustedRoots: options.trustedRoots,
      userAgent: `paddock/${options.version}`,
      ...(options.requestTimeout === undefined ? {} : { timeout: options.requestTimeout }),
    });
    this.#nonces = new NoncePool(this.#transport);
    this.#turns = AccountTurns.of(options.accounts);
  }

  /**
   * One certificate for `names`.
   *
   * @param request.heardTime told of the CA's clock; nothing is ordered where it throws.
   * @param request.replaces PEM of the certificate that is replaced, if this issuer made it (RFC 9773 §5).
   * @returns PEM chain, and a new PKCS #8 key that nobody else has seen.
   * @throws AcmeProblem, PaddockError; the signal's reason when aborted.
   */
  async issue(request: {
    names: readonly string[];
    replaces: string | null;
    signal: AbortSignal;
    observe?: Observer;
    heardTime?: (time: number) => void;
  }): Promise<IssuedChain> {
    checkAddresses(request.names, this.#options);
    const { signal, observe } = request;
    return await this.#turns.order(async () => {
      const session = await this.#open(signal, observe);
      if (session.directory.time !== null) request.heardTime?.(session.directory.time);
      return await this.#issue(session, request);
    });
  }

  /** What may keep this CA from a certificate for `names`; see Preflight. */
  async preflight(
    names: readonly string[],
    asksAddresses: boolean,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { preflight = null } = this.#options;
    if (preflight === null) return [];
    const { caaIdentities: identities } = (await this.#open(signal)).directory.meta;
    return await preflight.look({ names, identities, asksAddresses }, signal);
  }

  /** Whether `issue` has an order for `names` to go on with, other than the one whose key is `current`. */
  async underWay(names: readonly string[], current: string | null): Promise<boolean> {
    const { orders } = this.#options;
    if (orders === undefined) return false;
    if (current === null || !(await isLeftOver(orders, names, current))) {
      return (await orders.load(names)) !== null;
    }
    await orders.remove(names);
    return false;
  }

  async #issue(session: Session, request: CertificateWish): Promise<IssuedChain> {
    const account = await this.#account(session);
    try {
      return await this.#order(session, account, request);
    } catch (error) {
      if (!isProblem(error, "accountDoesNotExist")) throw error;
      // The CA forgot the account (a test CA restarted, a CA cleaned up): register the same key again, once.
      await forgetRegistration(this.#options.accounts);
      return await this.#order(session, await this.#account(session), request);
    }
  }

  /** When the CA wants `chain` renewed (RFC 9773), or null where it has no opinion. */
  async renewalWindow(
    chain: string,
    signal: AbortSignal,
    heardTime?: (time: number) => void,
  ): Promise<RenewalInfo | null> {
    const { directory, clock } = await this.#open(signal);
    if (directory.time !== null) heardTime?.(directory.time);
    return await fetchRenewalInfo(chain, { directory, clock, signal, transport: this.#transport });
  }

  /**
   * Revokes a certificate of this CA (RFC 8555 §7.6), and forgets an order for the same names, which may be its.
   *
   * @param revoked.reason CRLReason of RFC 5280 §5.3.1.
   */
  async revoke(
    revoked: { chain: string; key: string; names: readonly string[]; reason: number },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#options.orders?.remove(revoked.names);
    const session = await this.#open(signal);
    await this.#turns.take(async () => await revokeCertificate(session, this.#options.accounts, revoked));
  }

  /** A new key for the account (RFC 8555 §7.3.5). */
  async rollOverAccount(signal: AbortSignal): Promise<void> {
    await this.#changeAccount(signal, rollOver);
  }

  /** The end of the account (RFC 8555 §7.3.6); the next order makes a new one. */
  async deactivateAccount(signal: AbortSignal): Promise<void> {
    await this.#changeAccount(signal, deactivateAccount);
  }

  /** @throws PaddockError `acme.unknown-profile` where the CA does not offer the profile that is set. */
  async checkProfile(signal: AbortSignal): Promise<void> {
    const { profile } = this.#options;
    if (profile !== null) checkedProfile(profile, (await this.#open(signal)).directory);
  }

  async #changeAccount(signal: AbortSignal, change: typeof rollOver): Promise<void> {
    const session = await this.#open(signal);
    await this.#turns.change(this.name, async () => await change(session, this.#options.accounts));
  }

  async #open(signal: AbortSignal, observe?: Observer): Promise<Session> {
    const { clock } = this.#options;
    // Fetched for each order: it is small, and CAs change it (renewalInfo came to running clients that way).
    const directory = await fetchDirectory(this.#options.directory, {
      transport: this.#transport,
      clock,
      signal,
    });
    const transport = this.#transport;
    return new Session({
      directory,
      clock: clockAt(directory, clock),
      signal,
      transport,
      nonces: this.#nonces,
      observe,
    });
  }

  async #account(session: Session): Promise<Account> {
    const { accounts: keeper, email, eab } = this.#options;
    // Orders of several names at once share one registration.
    return await this.#turns.take(async () => await openAccount(session, { keeper, email, eab }));
  }

  async #order(session: Session, account: Account, wish: CertificateWish): Promise<IssuedChain> {
    const { board, rehearses: proveAnew = false } = this.#options;
    const proving = { account, board, trials: new ChallengeTrials(board) };
    const fresh = proveAnew ? new FreshProofs(session, account) : null;
    try {
      return await obtainCertificate(session, account, wish, {
        ...this.#options,
        profile: this.#profileAt(session),
        proveAnew,
        authorize: async (urls) =>
          (await fresh?.renounce(urls)) !== true && (await this.#authorize(session, urls, proving)),
      });
    } finally {
      await fresh?.giveBack();
    }
  }

  /** Staging directories may be behind with profiles; what is to be seen there is whether names can be proven. */
  #profileAt({ directory }: Session): string | null {
    const { profile, rehearses = false } = this.#options;
    return rehearses && profile !== null && !directory.meta.profiles.includes(profile) ? null : profile;
  }

  /**
   * All names at once. The first that cannot be proven at all ends the others; one for which another kind of challenge
   * is left does not, so that the next order knows of all that failed. Each has cleaned up when this settles.
   *
   * @returns whether all of them are valid.
   */
  async #authorize(session: Session, urls: readonly string[], proving: Proving): Promise<boolean> {
    const ending = new AbortController();
    const shared = session.with(AbortSignal.any([session.signal, ending.signal]));
    const failures: unknown[] = [];
    const outcomes = await Promise.all(
      urls.map(async (url) => {
        try {
          return await fulfilAuthorization(shared, url, proving);
        } catch (error) {
          failures.push(error);
          ending.abort(new PartFailed("another name is not proven"));
          return "failed";
        }
      }),
    );
    if (failures.length > 0) throw failures[0];
    return outcomes.every((outcome) => outcome === "valid");
  }
}

/** The CA's clock where ours is a day or more away from it: whether a certificate or an order has ended is not ours to say. */
function clockAt({ time }: Directory, clock: Clock): Clock {
  const behind = time === null ? 0 : time - clock.now();
  if (Math.abs(behind) < DAY) return clock;
  return { now: () => clock.now() + behind, setTimer: (delay, callback) => clock.setTimer(delay, callback) };
}
