import { readFile } from "node:fs/promises";
import type { Clock } from "../clock.ts";
import type { IssuerConfiguration } from "../config/configuration.ts";
import { messageOf, PaddockError } from "../errors.ts";
import {
  forgetRegistration,
  openAccount,
  type Account,
  type AccountKeeper,
  type ExternalAccount,
} from "./account.ts";
import { fulfilAuthorization } from "./authorization.ts";
import { certificateRequest, generateCertificateKey } from "./certificate-request.ts";
import { downloadCertificate } from "./certificate.ts";
import type { ChallengeBoard } from "./challenge.ts";
import { fetchDirectory } from "./directory.ts";
import { NoncePool } from "./nonces.ts";
import type { Observer } from "./observation.ts";
import { createOrder, finalizeOrder, settleOrder } from "./order.ts";
import { isProblem } from "./problem.ts";
import { certificateId, fetchRenewalInfo, type RenewalInfo } from "./renewal-info.ts";
import { Session } from "./session.ts";
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
  readonly accounts: AccountKeeper;
  readonly board: ChallengeBoard;
  readonly clock: Clock;
  /** Paddock's, for the User-Agent (RFC 8555 §6.1). */
  readonly version: string;
  /** For one HTTP request, milliseconds; 30 s unless given. */
  readonly requestTimeout?: number;
}

/** Obtains certificates from an ACME CA. `issue` reads as RFC 8555 §7.1 draws it. */
export class AcmeIssuer {
  readonly name: string;
  readonly #options: AcmeIssuerOptions;
  readonly #transport: Transport;
  readonly #nonces: NoncePool;
  /** Orders of several names at once share one registration. */
  #opening: Promise<unknown> = Promise.resolve();

  constructor(options: AcmeIssuerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#transport = new Transport({
      trustedRoots: options.trustedRoots,
      userAgent: `paddock/${options.version}`,
      ...(options.requestTimeout === undefined ? {} : { timeout: options.requestTimeout }),
    });
    this.#nonces = new NoncePool(this.#transport);
  }

  /**
   * One certificate for `names`.
   *
   * @param request.replaces PEM of the certificate that is replaced, if this issuer made it (RFC 9773 §5).
   * @returns PEM chain, and a new PKCS #8 key that nobody else has seen.
   * @throws AcmeProblem, PaddockError; the signal's reason when aborted.
   */
  async issue(request: {
    names: readonly string[];
    replaces: string | null;
    signal: AbortSignal;
    observe?: Observer;
  }): Promise<{ chain: string; key: string }> {
    const session = await this.#open(request.signal, request.observe);
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
  async renewalWindow(chain: string, signal: AbortSignal): Promise<RenewalInfo | null> {
    const { directory, clock } = await this.#open(signal);
    return await fetchRenewalInfo(chain, { directory, clock, signal, transport: this.#transport });
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
    return new Session({ directory, clock, signal, transport, nonces: this.#nonces, observe });
  }

  async #account(session: Session): Promise<Account> {
    const { accounts: keeper, email, eab } = this.#options;
    const opened = this.#opening.then(() => openAccount(session, { keeper, email, eab }));
    this.#opening = opened.catch(() => {});
    return await opened;
  }

  async #order(
    session: Session,
    account: Account,
    request: { names: readonly string[]; replaces: string | null },
  ): Promise<{ chain: string; key: string }> {
    const replaces =
      request.replaces !== null && session.directory.renewalInfo !== null
        ? certificateId(request.replaces)
        : null;
    let order = await createOrder(session, account, {
      names: request.names,
      profile: this.#options.profile,
      replaces,
    });
    if (order.status === "pending") {
      await this.#authorize(session, account, order.authorizations);
      order = await settleOrder(session, account, order, "ready");
    } else {
      for (const name of request.names)
        session.observe({ kind: "challenge", name, challenge: null, outcome: "reused", error: null });
    }
    const keys = await generateCertificateKey();
    const csr = await certificateRequest(request.names, keys);
    const url = await finalizeOrder(session, account, order, csr);
    const ordered = { names: request.names, privateKey: keys.privateKey };
    const chain = await downloadCertificate(session, account, url, ordered);
    return { chain, key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) };
  }

  /** All names at once; the first that fails ends the others, and each has cleaned up when this rejects. */
  async #authorize(session: Session, account: Account, urls: readonly string[]): Promise<void> {
    const ending = new AbortController();
    const shared = session.with(AbortSignal.any([session.signal, ending.signal]));
    const failures: unknown[] = [];
    await Promise.all(
      urls.map(async (url) => {
        try {
          await fulfilAuthorization(shared, account, url, this.#options.board);
        } catch (error) {
          failures.push(error);
          ending.abort();
        }
      }),
    );
    if (failures.length > 0) throw failures[0];
  }
}

/**
 * The issuer of an `acme:` entry of the configuration.
 *
 * @throws PaddockError `acme.trusted-roots` when the file of `trustedRoots` cannot be read.
 */
export async function acmeIssuer(
  issuer: Extract<IssuerConfiguration, { kind: "acme" }>,
  context: Pick<AcmeIssuerOptions, "email" | "accounts" | "board" | "clock" | "version">,
): Promise<AcmeIssuer> {
  const { name, directory, profile, eab } = issuer;
  const trustedRoots = issuer.trustedRoots === null ? null : await readRoots(issuer.trustedRoots);
  return new AcmeIssuer({ ...context, name, directory, profile, eab, trustedRoots });
}

async function readRoots(path: string): Promise<string> {
  const fix = `Make ${path} a PEM file that Paddock's user may read, or remove trustedRoots of the issuer.`;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new PaddockError("acme.trusted-roots", `trustedRoots cannot be read: ${messageOf(cause)}`, {
      fix,
      cause,
    });
  }
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new PaddockError("acme.trusted-roots", `${path} has no PEM certificate in it`, { fix });
}
