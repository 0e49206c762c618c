import { constants } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { TlsCertificate } from "./certificate.ts";
import { TLS_POLICIES } from "./policy.ts";

/** The tls-alpn-01 challenges that are pending, by the server name that the CA will send. */
export class ChallengeTable {
  readonly #contexts = new Map<string, SecureContext>();

  constructor(certificates: readonly TlsCertificate[]) {
    for (const { names, chain, key } of certificates) {
      // The CA may know TLS 1.2 alone, also where the sites do not speak it; and a validation is never resumed.
      const context = createSecureContext({
        ...TLS_POLICIES.intermediate,
        cert: chain,
        key,
        secureOptions: constants.SSL_OP_NO_TICKET,
      });
      for (const name of names) this.#contexts.set(name, context);
    }
  }

  get isEmpty(): boolean {
    return this.#contexts.size === 0;
  }

  find(serverName: string): SecureContext | undefined {
    return this.#contexts.get(serverName);
  }
}
