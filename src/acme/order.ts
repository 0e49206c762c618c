import { isIP } from "node:net";
import { PaddockError } from "../errors.ts";
import type { Account } from "./account.ts";
import type { Directory } from "./directory.ts";
import { poll } from "./polling.ts";
import { AcmeProblem, problemOf } from "./problem.ts";
import { unexpected, type AcmeResponse, type Session } from "./session.ts";

/** An order object (RFC 8555 §7.1.3). */
export interface Order {
  readonly url: string;
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate: string | null;
  /** Milliseconds since the epoch, or null. */
  readonly expires: number | null;
}

/** From finalize to the certificate; CAs say seconds, and write minutes into their incident reports. */
const PATIENCE = 5 * 60_000;

/**
 * newOrder (RFC 8555 §7.4), with `replaces` (RFC 9773 §5) and `profile` where they are given.
 *
 * A predecessor that was replaced already, or that this account did not order, must not keep us from a
 * certificate: the order is then made again without `replaces`.
 */
export async function createOrder(
  session: Session,
  account: Account,
  wanted: { names: readonly string[]; profile: string | null; replaces: string | null },
): Promise<Order> {
  const payload = {
    identifiers: wanted.names.map(identifierOf),
    ...(wanted.profile === null ? {} : { profile: checkedProfile(wanted.profile, session.directory) }),
  };
  const url = session.directory.newOrder;
  let response: AcmeResponse;
  try {
    const replaces = wanted.replaces === null ? {} : { replaces: wanted.replaces };
    response = await session.post(url, { ...payload, ...replaces }, account);
  } catch (error) {
    if (wanted.replaces === null || !blamesPredecessor(error)) throw error;
    response = await session.post(url, payload, account);
  }
  if (response.location === null) throw unexpected("newOrder gave no Location");
  session.observe({ kind: "order-created", url: response.location });
  return orderOf(response, response.location);
}

/** The order as the CA has it now. */
export async function fetchOrder(session: Session, account: Account, url: string): Promise<Order> {
  return orderOf(await session.post(url, null, account), url);
}

/** Waits until the order leaves `pending` (after the authorizations) or `processing` (after finalize). */
export async function settleOrder(
  session: Session,
  account: Account,
  order: Order,
  until: string,
): Promise<Order> {
  const ask = (): Promise<AcmeResponse> => session.post(order.url, null, account);
  const waiting = until === "ready" ? ["pending"] : ["pending", "ready", "processing"];
  const settled = await poll({
    first: null,
    ask,
    done: (response) => !waiting.includes(String(response.body["status"])),
    what: "the order",
    patience: PATIENCE,
    clock: session.clock,
    signal: session.signal,
  });
  const result = orderOf(settled, order.url);
  if (result.status === "invalid") throw refused(settled);
  return result;
}

/** Sends the certificate request (RFC 8555 §7.4) and waits for the certificate's URL. */
export async function finalizeOrder(
  session: Session,
  account: Account,
  order: Order,
  csr: Buffer,
): Promise<string> {
  try {
    await session.post(order.finalize, { csr: csr.toString("base64url") }, account);
  } catch (error) {
    // The answer may have been lost and the request not: the order's own status tells, so it is asked below.
    if (!(error instanceof AcmeProblem) || !error.is("orderNotReady")) throw error;
  }
  return await certificateUrl(session, account, order);
}

/** Waits for the certificate of an order that was finalized. */
export async function certificateUrl(session: Session, account: Account, order: Order): Promise<string> {
  const settled = await settleOrder(session, account, order, "valid");
  if (settled.certificate === null) throw unexpected(`the order is ${settled.status} and has no certificate`);
  return settled.certificate;
}

/** RFC 8555 §9.7.7 and RFC 8738 §3. */
function identifierOf(name: string): { type: "dns" | "ip"; value: string } {
  return { type: isIP(name) === 0 ? "dns" : "ip", value: name };
}

/** draft-ietf-acme-profiles §4: a profile that the directory does not list MUST NOT be asked for. */
export function checkedProfile(profile: string, directory: Directory): string {
  const offered = directory.meta.profiles;
  if (offered.includes(profile)) return profile;
  const list = offered.length === 0 ? "it offers none" : `it offers: ${offered.join(", ")}`;
  throw new PaddockError("acme.unknown-profile", `${directory.url} has no profile "${profile}"; ${list}`, {
    fix:
      offered.length === 0
        ? "Remove `profile` of this issuer."
        : `Set \`profile\` to one of: ${offered.join(", ")}.`,
  });
}

/** RFC 9773 §5: alreadyReplaced (409); CAs refuse an unknown or foreign predecessor by the other two. */
function blamesPredecessor(error: unknown): boolean {
  return (
    error instanceof AcmeProblem &&
    ["alreadyReplaced", "malformed", "unauthorized"].some((kind) => error.is(kind))
  );
}

function orderOf(response: AcmeResponse, url: string): Order {
  const { status, authorizations, finalize, certificate, expires } = response.body;
  if (typeof status !== "string" || typeof finalize !== "string")
    throw unexpected("an order without status or finalize");
  const end = typeof expires === "string" ? Date.parse(expires) : NaN;
  const listed = Array.isArray(authorizations) ? (authorizations as unknown[]) : [];
  return {
    url,
    status,
    finalize,
    authorizations: listed.filter((item) => typeof item === "string"),
    certificate: typeof certificate === "string" ? certificate : null,
    expires: Number.isNaN(end) ? null : end,
  };
}

function refused(response: AcmeResponse): Error {
  return problemOf(response.body["error"] ?? { detail: "the CA declared the order invalid" }, {
    status: null,
    retryAfter: response.retryAfter,
  });
}
