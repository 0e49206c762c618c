import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from "node:crypto";
import { PaddockError } from "../errors.ts";
import type { Account } from "./account.ts";
import { fetchOrder, type Order } from "./order.ts";
import { AcmeProblem, isProblem } from "./problem.ts";
import type { Session } from "./session.ts";

/**
 * Where orders under way are kept, one for each set of names, so that one that a crash ended is taken up again
 * and not made anew: a second one would count against the CA's limits, and its key would be another.
 *
 * `save` MUST be durable when it resolves; what is saved holds a private key. `remove` MUST accept names without
 * an order.
 */
export interface OrderKeeper {
  load(names: readonly string[]): Promise<Readonly<Record<string, unknown>> | null>;
  save(names: readonly string[], order: Readonly<Record<string, unknown>>): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
}

export interface CertificateKeys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** What makes an order another one: it is taken up only for the same account and profile. */
export interface OrderTerms {
  readonly names: readonly string[];
  readonly profile: string | null;
  /** The account's URL. */
  readonly account: string;
}

/** An order with the key that its certificate is or will be for. */
export interface OrderUnderWay {
  readonly order: Order;
  readonly keys: CertificateKeys;
}

/** Keeps an order together with its key, before the CA sees a request for a certificate of that key. */
export async function keepOrder(
  keeper: OrderKeeper,
  terms: OrderTerms,
  { order, keys }: OrderUnderWay,
): Promise<void> {
  const { names, profile, account } = terms;
  const key = keys.privateKey.export({ type: "pkcs8", format: "pem" });
  await keeper.save(names, { order: order.url, names, account, profile, key });
}

/**
 * The order for these names that an earlier process began, as the CA has it now. Null where there is none, or one
 * that is of no use any more: for other names, of another account or profile, refused, expired, or not known to the CA.
 *
 * @throws what says nothing about the order: a CA that is away, an account that it does not know.
 */
export async function takeUpOrder(
  session: Session,
  account: Account,
  keeper: OrderKeeper,
  terms: OrderTerms,
): Promise<OrderUnderWay | null> {
  const kept = await keeper.load(terms.names);
  if (kept === null || !isFor(kept, terms)) return null;
  const { order: url, key } = kept;
  if (typeof url !== "string" || typeof key !== "string") return null;
  let keys: CertificateKeys;
  let order: Order;
  try {
    keys = keysOf(key);
    order = await fetchOrder(session, account, url);
  } catch (error) {
    if (session.signal.aborted || isProblem(error, "accountDoesNotExist") || isInterruption(error))
      throw error;
    return null;
  }
  const usable = order.status !== "invalid" && !isOver(order, session.clock.now());
  return usable ? { order, keys } : null;
}

/** Whether the kept order's certificate is the one with this key, so that only its removal was missed. */
export async function isLeftOver(
  keeper: OrderKeeper,
  names: readonly string[],
  key: string,
): Promise<boolean> {
  return (await keeper.load(names))?.["key"] === key;
}

/**
 * Whether an error left the order as it was: the next attempt, or the next start, goes on with it. Any other
 * ends the order.
 */
export function isInterruption(error: unknown): boolean {
  if (error instanceof AcmeProblem) return error.transient;
  return (
    error instanceof PaddockError &&
    ["acme.unreachable", "acme.timeout", "acme.too-slow"].includes(error.code)
  );
}

/**
 * Whether the certificate of an order that was taken up is worth having: not the one that is to be replaced
 * (a crash between storing it and forgetting its order), and not one that lay at the CA until it was old.
 */
export function isFresh(chain: string, replaces: string | null, now: number): boolean {
  const leaf = new X509Certificate(chain);
  if (replaces !== null && new X509Certificate(replaces).fingerprint256 === leaf.fingerprint256) return false;
  const [start, end] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  return end - now >= ((end - start) * 2) / 3;
}

function isFor(kept: Readonly<Record<string, unknown>>, { names, profile, account }: OrderTerms): boolean {
  const ordered = Array.isArray(kept["names"]) ? new Set<unknown>(kept["names"]) : new Set();
  const same = ordered.size === new Set(names).size && names.every((name) => ordered.has(name));
  return same && kept["account"] === account && kept["profile"] === profile;
}

/** RFC 8555 §7.1.3: `expires` is the end of an order that was not finalized; a certificate outlives it. */
function isOver(order: Order, now: number): boolean {
  return order.status !== "valid" && order.expires !== null && order.expires <= now;
}

function keysOf(pem: string): CertificateKeys {
  const privateKey = createPrivateKey(pem);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}
