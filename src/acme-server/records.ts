/** What the ACME server keeps, as JSON: the objects of RFC 8555 §7.1. Times are milliseconds since the epoch. */
export interface AccountRecord {
  readonly id: string;
  /** Of the public key (RFC 7638); no two accounts have the same. */
  readonly thumbprint: string;
  readonly jwk: Readonly<Record<string, string>>;
  readonly contact: readonly string[];
  readonly status: "valid" | "deactivated";
  readonly createdAt: number;
}

export interface Identifier {
  readonly type: "dns" | "ip";
  readonly value: string;
}

/** A problem document as it is kept with what failed. */
export interface KeptProblem {
  readonly type: string;
  readonly detail: string;
  readonly status: number;
}

/** With its one challenge, http-01. */
export interface AuthorizationRecord {
  readonly identifier: Identifier;
  readonly status: "pending" | "valid" | "invalid" | "deactivated";
  readonly token: string;
  /** The client has asked for the validation, which is under way or will be taken up at the next start. */
  readonly asked: boolean;
  readonly validatedAt: number | null;
  readonly error: KeptProblem | null;
}

export interface CertificateRecord {
  /** PEM: leaf and intermediate. */
  readonly chain: string;
  /** SHA-256 of the leaf, lower-case hex. */
  readonly fingerprint: string;
  readonly notAfter: number;
  readonly revoked: { readonly at: number; readonly reason: number } | null;
}

/** An order with its authorizations; none is shared between orders. */
export interface OrderRecord {
  readonly id: string;
  /** Id of the account. */
  readonly account: string;
  readonly createdAt: number;
  /** Until then the names must be proven and the order finalized. */
  readonly expires: number;
  readonly authorizations: readonly AuthorizationRecord[];
  readonly certificate: CertificateRecord | null;
}

/** The states of RFC 8555 §7.1.6 follow from what is kept, so that no crash can leave a state that contradicts it. */
export function orderStatus(
  order: OrderRecord,
  finalizing: boolean,
  now: number,
): "pending" | "ready" | "processing" | "valid" | "invalid" {
  if (order.certificate !== null) return "valid";
  if (order.expires <= now) return "invalid";
  if (order.authorizations.some(({ status }) => status === "invalid" || status === "deactivated"))
    return "invalid";
  if (order.authorizations.some(({ status }) => status === "pending")) return "pending";
  return finalizing ? "processing" : "ready";
}
