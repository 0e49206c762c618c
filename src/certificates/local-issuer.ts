import type { EmbeddedCa } from "./embedded-ca.ts";
import type { IssuedCertificate, Issuer, IssueRequest } from "./issuer.ts";

/** The embedded CA as an issuer among others. */
export class LocalIssuer implements Issuer {
  readonly name = "local";
  readonly #ca: EmbeddedCa;

  constructor(ca: EmbeddedCa) {
    this.#ca = ca;
  }

  async issue(request: IssueRequest): Promise<IssuedCertificate> {
    request.signal.throwIfAborted();
    return await this.#ca.issue(request.names);
  }
}
