import type { KeptProblem } from "./records.ts";

/** Error types of RFC 8555 §6.7 that this server has a use for, with the status that goes with each. */
const STATUS = {
  accountDoesNotExist: 400,
  alreadyRevoked: 400,
  badCSR: 400,
  badNonce: 400,
  badPublicKey: 400,
  badRevocationReason: 400,
  badSignatureAlgorithm: 400,
  connection: 400,
  dns: 400,
  incorrectResponse: 403,
  invalidContact: 400,
  malformed: 400,
  orderNotReady: 403,
  rateLimited: 429,
  rejectedIdentifier: 400,
  serverInternal: 500,
  unauthorized: 403,
  unsupportedContact: 400,
  unsupportedIdentifier: 400,
} as const;

type ProblemKind = keyof typeof STATUS;

interface ProblemOptions {
  readonly status?: number;
  /** Seconds. */
  readonly retryAfter?: number;
  readonly location?: string;
  /** Further members of the document. */
  readonly members?: object;
}

/** A request that is not done, as the client is told (RFC 7807). The detail never holds what is ours to keep. */
export class AcmeRefusal extends Error {
  readonly kind: ProblemKind;
  readonly status: number;
  readonly options: ProblemOptions;

  constructor(kind: ProblemKind, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.kind = kind;
    this.status = options.status ?? STATUS[kind];
    this.options = options;
  }

  get document(): KeptProblem & object {
    return {
      type: `urn:ietf:params:acme:error:${this.kind}`,
      detail: this.message,
      status: this.status,
      ...this.options.members,
    };
  }
}
