import { messageOf, PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import type { Account } from "./account.ts";
import { certificateRequest, generateCertificateKey } from "./certificate-request.ts";
import {
  isFresh,
  isInterruption,
  keepOrder,
  takeUpOrder,
  type OrderKeeper,
  type OrderTerms,
  type OrderUnderWay,
} from "./kept-order.ts";
import { certificateUrl, createOrder, finalizeOrder, settleOrder } from "./order.ts";
import { downloadCertificate } from "./preferred-chain.ts";
import { certificateId } from "./renewal-info.ts";
import type { Session } from "./session.ts";

export interface CertificateWish {
  readonly names: readonly string[];
  /** PEM of the certificate that is replaced, or null. */
  readonly replaces: string | null;
}

export interface IssuedChain {
  readonly chain: string;
  readonly key: string;
  /** Forgets the order; until it is called, an order for the same names gives the same certificate again. */
  readonly release: () => Promise<void>;
}

interface OrderingOptions {
  readonly name: string;
  readonly profile: string | null;
  readonly preferredChain?: string | null;
  readonly orders?: OrderKeeper;
  readonly log?: Logger;
  /**
   * Proves control of the names of these authorizations; false where a kind of challenge has failed and another is left
   * for a new order. Each call spends a kind, so there are few of them.
   */
  readonly authorize: (urls: readonly string[]) => Promise<boolean>;
  /** Ask also where the CA holds all the proofs from orders before. */
  readonly proveAnew?: boolean;
}

/** One order from wherever it stands to its certificate: the one that an earlier process began, or a new one. */
export async function obtainCertificate(
  session: Session,
  account: Account,
  wish: CertificateWish,
  options: OrderingOptions,
): Promise<IssuedChain> {
  const { orders, name, profile, log } = options;
  const { names, replaces } = wish;
  const terms = { names, profile, account: account.kid };
  const kept = orders === undefined ? null : await takeUpOrder(session, account, orders, terms);
  if (kept !== null) {
    log?.info(`the order for ${names.join(", ")} at ${name} is taken up again; it is ${kept.order.status}`);
    const issued = await completeKept(session, account, kept, names, options);
    if (issued !== null && isFresh(issued.chain, replaces, session.clock.now())) return issued;
  }
  for (;;) {
    const begun = await begin(session, account, terms, replaces, options);
    const issued = await complete(session, account, begun, names, options);
    if (issued !== null) return issued;
  }
}

/** Null where what it comes to is not what is wanted now, too: a certificate that has ended, for one. */
async function completeKept(
  ...order: [Session, Account, OrderUnderWay, readonly string[], OrderingOptions]
): Promise<IssuedChain | null> {
  try {
    return await complete(...order);
  } catch (error) {
    if (error instanceof PaddockError && error.code === "acme.unacceptable-certificate") return null;
    throw error;
  }
}

async function begin(
  session: Session,
  account: Account,
  terms: OrderTerms,
  replaces: string | null,
  { orders, log }: OrderingOptions,
): Promise<OrderUnderWay> {
  const { names, profile } = terms;
  const predecessor =
    replaces !== null && session.directory.renewalInfo !== null ? certificateId(replaces) : null;
  const keys = await generateCertificateKey();
  const order = await createOrder(session, account, { names, profile, replaces: predecessor });
  try {
    if (orders !== undefined) await keepOrder(orders, terms, { order, keys });
  } catch (error) {
    // A full disk is no reason not to get a certificate.
    log?.warn({ err: error }, `the order for ${names.join(", ")} is not kept: ${messageOf(error)}`);
  }
  return { order, keys };
}

/** Null where the order is spent, see `authorize`. */
async function complete(
  session: Session,
  account: Account,
  { order: begun, keys }: OrderUnderWay,
  names: readonly string[],
  options: OrderingOptions,
): Promise<IssuedChain | null> {
  const { orders, authorize, proveAnew = false, log = null, preferredChain: preferred = null } = options;
  try {
    let order = begun;
    if (order.status === "pending" || (order.status === "ready" && proveAnew)) {
      if (!(await authorize(order.authorizations))) {
        await orders?.remove(names);
        return null;
      }
      order = await settleOrder(session, account, order, "ready");
    } else {
      for (const name of names)
        session.observe({ kind: "challenge", name, challenge: null, outcome: "reused", error: null });
    }
    const url =
      order.status === "ready"
        ? await finalizeOrder(session, account, order, await certificateRequest(names, keys))
        : await certificateUrl(session, account, order);
    const wanted = { names, privateKey: keys.privateKey, preferred, log };
    const chain = await downloadCertificate(session, account, url, wanted);
    const key = keys.privateKey.export({ type: "pkcs8", format: "pem" });
    return { chain, key, release: async () => await orders?.remove(names) };
  } catch (error) {
    if (!session.interrupted && !isInterruption(error)) await orders?.remove(names);
    throw error;
  }
}
