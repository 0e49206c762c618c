import type { AcmeServerConfiguration } from "../config/configuration.ts";
import type { AccountRecord, OrderRecord } from "./records.ts";

export interface ServerIdentity {
  /** PEM. */
  readonly chain: string;
  readonly key: string;
}

/** Supervisor to ACME server. */
export type AcmeServerOrder =
  | {
      readonly type: "start";
      readonly configuration: AcmeServerConfiguration;
      readonly identity: ServerIdentity;
      readonly accounts: readonly AccountRecord[];
      readonly orders: readonly OrderRecord[];
    }
  | { readonly type: "identity"; readonly identity: ServerIdentity }
  /** The answer to a wish: PEM for a signature, null for the rest. */
  | { readonly type: "done"; readonly id: number; readonly value: string | null }
  | { readonly type: "failed"; readonly id: number; readonly why: string };

/** What only the supervisor can do: it has the disk and the CA's key. */
export type AcmeServerWish =
  | { readonly type: "save"; readonly kind: RecordKind; readonly record: AccountRecord | OrderRecord }
  | { readonly type: "remove"; readonly kind: RecordKind; readonly recordId: string }
  /** A certificate for a public key (SubjectPublicKeyInfo, DER, base64). */
  | { readonly type: "sign"; readonly names: readonly string[]; readonly publicKey: string };

export type RecordKind = "accounts" | "orders";

/** ACME server to supervisor. */
export type AcmeServerReport =
  | { readonly type: "started" }
  | { readonly type: "listening" }
  | { readonly type: "broken"; readonly code: string }
  | {
      readonly type: "event";
      readonly level: "info" | "warn";
      readonly message: string;
      readonly fields: object;
    }
  | { readonly type: "wish"; readonly id: number; readonly wish: AcmeServerWish };

/** Ids of accounts and orders, which are also names of files: 128 bits of chance, base64url. */
export const RECORD_ID = /^[A-Za-z0-9_-]{22}$/;
