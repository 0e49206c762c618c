import { PaddockError } from "../errors.ts";
import { blamesSite } from "./not-proven.ts";

/** One entry of `subproblems` (RFC 8555 §6.7.1). */
export interface Subproblem {
  readonly type: string;
  readonly detail: string;
  /** The name that it is about, where the server says so. */
  readonly identifier: string | null;
}

const NAMESPACE = "urn:ietf:params:acme:error:";

/** What the operator can do about each error type of RFC 8555 §6.7 and RFC 9773; one sentence each. */
const FIXES: Readonly<Record<string, string>> = {
  accountDoesNotExist: "The account is registered anew at the next attempt.",
  badPublicKey: "Remove the account folder below the storage, so that a new account key is made.",
  badSignatureAlgorithm: "This CA does not accept ES256 account keys; choose another issuer.",
  caa: "Add the CA to the domain's CAA records, or remove the records that forbid it.",
  connection:
    "The CA could not fetch the challenge: open port 80 in the firewall for everyone, and check that the name's A and AAAA records point at this machine.",
  dns: "Check that the name has A or AAAA records that point at this machine, and that its DNS servers answer.",
  externalAccountRequired: "Set eab.keyId and eab.hmacKey of this issuer; the CA's account page shows them.",
  incorrectResponse:
    "Something else answered on port 80: check that the name points at this machine and that no other web server or CDN is in front.",
  invalidContact: "Set `email` to an address that exists, or remove it.",
  invalidProfile: "Remove `profile` of this issuer, or choose one that the CA offers.",
  malformed: "The CA did not understand the request; if it repeats, report it with this log line.",
  rateLimited: "Wait: the next attempt is made when the CA allows it. Do not restart in between to force it.",
  rejectedIdentifier:
    "This CA does not certify the name; remove it from the site or set `certificate: local`.",
  serverInternal: "The CA has a problem of its own; the attempt is repeated.",
  tls: "The CA could not make a TLS connection for the challenge; check what answers on port 443.",
  unauthorized:
    "The CA got another answer than the challenge on port 80: check that the name points at this machine and that no other web server or CDN is in front.",
  unsupportedIdentifier: "This CA does not certify such names; set `certificate: local` for them.",
  userActionRequired: "The CA asks for an action in a browser; its message names the address.",
};

/**
 * An error that the CA reported: a problem document (RFC 7807) with the types of RFC 8555 §6.7.
 *
 * `code` is `acme.` and the short type (`acme.rateLimited`), or `acme.http-STATUS` where the body was no
 * problem document.
 */
export class AcmeProblem extends PaddockError {
  /** The full URN. */
  readonly type: string;
  readonly detail: string;
  /** HTTP status, or null for an error inside of a challenge or order that has none. */
  readonly status: number | null;
  readonly subproblems: readonly Subproblem[];
  /** Milliseconds to wait as the server asked, or null where it did not. */
  readonly retryAfter: number | null;

  constructor(options: {
    type: string;
    detail: string;
    status: number | null;
    subproblems: readonly Subproblem[];
    retryAfter: number | null;
    about?: string | null;
    /** In place of the one that goes with the type. */
    fix?: string;
  }) {
    const kind = shortType(options.type);
    const code = kind === null ? `acme.http-${options.status ?? "none"}` : `acme.${kind}`;
    const about = (options.about ?? null) === null ? "" : `${options.about}: `;
    const parts = options.subproblems.map((sub) => `${sub.identifier ?? "?"}: ${sub.detail}`);
    const fix = options.fix ?? FIXES[kind ?? (unavailable(options.status) ? "serverInternal" : "")];
    super(code, `${about}${[options.detail, ...parts].join("; ")}`, fix === undefined ? {} : { fix });
    this.type = options.type;
    this.detail = options.detail;
    this.status = options.status;
    this.subproblems = options.subproblems;
    this.retryAfter = options.retryAfter;
  }

  /** Whether this is the error type `kind` of RFC 8555 §6.7, without the URN's prefix. */
  is(kind: string): boolean {
    return this.type === NAMESPACE + kind;
  }

  /** Whether the same request may succeed a little later without anybody doing anything. */
  get transient(): boolean {
    return unavailable(this.status) || this.status === 429;
  }

  /** As that of `NotProven`. */
  get unproven(): boolean {
    if (this.transient) return false;
    const kinds = [this.type, ...this.subproblems.map(({ type }) => type)].map(shortType);
    return blamesSite(kinds, this.status);
  }
}

/**
 * Makes the error of a response that is not a success.
 *
 * @param body parsed JSON, or null where the body was none.
 */
export function problemOf(
  body: unknown,
  context: { status: number | null; retryAfter: number | null; about?: string | null; fix?: string },
): AcmeProblem {
  const document = isObject(body) ? body : {};
  const type = typeof document["type"] === "string" ? document["type"] : "about:blank";
  const fallback =
    context.status === null ? "no detail given" : `HTTP status ${context.status} without a problem document`;
  const detail =
    typeof document["detail"] === "string" && document["detail"] !== "" ? document["detail"] : fallback;
  const listed = Array.isArray(document["subproblems"]) ? (document["subproblems"] as unknown[]) : [];
  const subproblems = listed.filter(isObject).map((sub) => ({
    type: typeof sub["type"] === "string" ? sub["type"] : "about:blank",
    detail: typeof sub["detail"] === "string" ? sub["detail"] : "no detail given",
    identifier: isObject(sub["identifier"]) ? String(sub["identifier"]["value"]) : null,
  }));
  return new AcmeProblem({ type, detail, subproblems, ...context });
}

/** Whether a caught value is the CA's error `kind`. */
export function isProblem(error: unknown, kind: string): error is AcmeProblem {
  return error instanceof AcmeProblem && error.is(kind);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shortType(type: string): string | null {
  return type.startsWith(NAMESPACE) ? type.slice(NAMESPACE.length) : null;
}

function unavailable(status: number | null): boolean {
  return status !== null && status >= 500;
}
