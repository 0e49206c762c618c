/**
 * What makes certificates. The embedded CA is one, an ACME CA another (`AcmeIssuer` has this shape without
 * importing it, since the two folders are of one layer).
 */
export interface Issuer {
  /** From a bounded set: a metrics label, a word in `status`, and a folder in the storage. */
  readonly name: string;
  /** URL of the CA's directory, by which what it gave is counted; undefined where there is nothing to count. */
  readonly directory?: string;
  /**
   * Looks from here at what the CA will look at, before the first order for `names`.
   *
   * @returns sentences about what may keep the CA from a certificate.
   * @throws an error where it certainly will.
   */
  preflight?(
    names: readonly string[],
    asksAddresses: boolean,
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  /**
   * Makes one certificate for exactly `names`, with a key that was never used before.
   *
   * MUST settle soon after the signal is aborted. An error SHOULD be a PaddockError with a `fix`, and MAY carry
   * `retryAfter`, the milliseconds before which another attempt is of no use, and `unproven: true` where the names
   * could not be proven for a reason that lies with the site.
   */
  issue(request: IssueRequest): Promise<IssuedCertificate>;
  /**
   * Revokes a certificate that it made; one that is revoked already is as good. An error MAY carry
   * `uncertain: true` where it is not known whether the certificate is revoked.
   *
   * @param revoked.reason CRLReason of RFC 5280 §5.3.1.
   */
  revoke?(
    revoked: { chain: string; key: string; names: readonly string[]; reason: number },
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * Whether an earlier process began an order for `names` and did not see its end; `issue` goes on with it.
   *
   * @param current PEM key of the stored certificate, whose order may have been left behind; null for none.
   */
  underWay?(names: readonly string[], current: string | null): Promise<boolean>;
  /** When the issuer wants a certificate of its own renewed; null where it has no opinion. */
  renewalWindow?(
    chain: string,
    signal: AbortSignal,
    heardTime?: (time: number) => void,
  ): Promise<RenewalWindow | null>;
  /** Where its orders can be rehearsed; null where nowhere. */
  readonly staging?: StagingIssuer | null;
}

/** Of the same CA as another issuer, for rehearsals: nobody trusts its certificates, and its limits are wide. */
export interface StagingIssuer extends Pick<Issuer, "name"> {
  /** Goes the whole way. MUST prove each name anew, MUST NOT keep anything of the order. */
  issue(request: IssueRequest): Promise<IssuedCertificate>;
}

export interface IssueRequest {
  readonly names: readonly string[];
  /** PEM of the certificate of this issuer that is replaced, or null. */
  readonly replaces: string | null;
  readonly signal: AbortSignal;
  /** Told of the steps of the order, for the journal. MUST NOT be told a key, a token or a key authorization. */
  readonly observe?: (step: IssuanceStep) => void;
  /**
   * Told of the issuer's clock (milliseconds since the epoch), where it has one of its own, before anything is ordered.
   * It may throw; then nothing MUST be ordered.
   */
  readonly heardTime?: (time: number) => void;
}

/** What an issuer does on the way to a certificate. */
export type IssuanceStep =
  /** The CA took the order; its URL. */
  | { readonly kind: "order-created"; readonly url: string }
  /** How a name was proven or was not, and by which kind of challenge; null where the CA asked for none. */
  | {
      readonly kind: "challenge";
      readonly name: string;
      readonly challenge: string | null;
      readonly outcome: "valid" | "reused" | "failed";
      /** What went wrong. */
      readonly error: unknown;
    };

export interface IssuedCertificate {
  /** PEM: the end-entity certificate first, then the intermediates. */
  readonly chain: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /**
   * MUST be called once the certificate is stored for good, or refused. Until then the issuer keeps what it needs
   * to give the same one again after a crash.
   */
  release?(): Promise<void>;
}

/** Times are milliseconds since the epoch. */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
  /** A page about the reason, or null. */
  readonly explanationUrl: string | null;
  /** When to ask again, milliseconds from now, or null. */
  readonly retryAfter: number | null;
}

/** The wait that an error asks for, in milliseconds, or null. */
export function retryAfterOf(error: unknown): number | null {
  const value =
    typeof error === "object" && error !== null ? (error as { retryAfter?: unknown }).retryAfter : null;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** Whether the names could not be proven, and the next order will fail as well until somebody mends the site. */
export function isUnproven(error: unknown): boolean {
  return typeof error === "object" && error !== null && (error as { unproven?: unknown }).unproven === true;
}
