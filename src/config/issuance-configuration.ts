import type { NetworkConfiguration } from "./configuration.ts";

export type IssuerConfiguration =
  | { readonly kind: "local" }
  | {
      readonly kind: "acme";
      /** As written: `letsencrypt`, `zerossl`, …, or the directory URL. Used in metrics and in `status`. */
      readonly name: string;
      readonly directory: string;
      readonly profile: string | null;
      /** Common name of the root that the chain should lead to; null for the CA's default chain. */
      readonly preferredChain: string | null;
      /** Absolute path of a PEM file with extra roots for talking to this CA. */
      readonly trustedRoots: string | null;
      readonly eab: ExternalAccountConfiguration | null;
      /** Where its orders are rehearsed; null where nowhere. */
      readonly staging: StagingConfiguration | null;
    };

export interface DnsConfiguration {
  /** Absolute path of the program that adds and removes TXT records. */
  readonly hook: string;
  readonly hookTimeout: number;
  /** `ADDRESS` or `ADDRESS:PORT`; empty for those of the system. */
  readonly resolvers: readonly string[];
  /** Where the record must be, in the same form; empty for the name servers of its zone. */
  readonly nameServers: readonly string[];
  /** 0: the CA is told at once. */
  readonly propagationTimeout: number;
}

/** The embedded CA as an ACME server for other machines. */
export interface AcmeServerConfiguration {
  readonly listen: { readonly host: string; readonly port: number };
  /** What clients call it by: names and addresses, lower case. */
  readonly hosts: readonly string[];
  /** What it may certify: names, `*.NAME` for all that is below, and addresses. */
  readonly names: readonly string[];
  /** Who may connect. */
  readonly clients: readonly NetworkConfiguration[];
  /** Where http-01 is fetched from. */
  readonly httpPort: number;
}

/** Who is told of a certificate in trouble; null for a way that is not used. */
export interface NotifyConfiguration {
  /** May hold a secret in its path: it never appears in a log. */
  readonly webhook: string | null;
  readonly mail: {
    /** Absolute path of a program, and its arguments; it reads the message on its standard input. */
    readonly command: readonly [string, ...string[]];
    readonly to: readonly [string, ...string[]];
    readonly from: string | null;
  } | null;
}

export interface ExternalAccountConfiguration {
  readonly keyId: string;
  readonly hmacKey: string;
}

/** A staging directory; profile and trusted roots are those of its CA. */
export interface StagingConfiguration {
  /** As `name` of an issuer. */
  readonly name: string;
  readonly directory: string;
  readonly eab: ExternalAccountConfiguration | null;
}
