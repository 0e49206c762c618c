/** What an ACME CA looks at, looked at before it does. */
export interface Preflight {
  /**
   * @param question.identities what the CA answers to in CAA records; empty where its directory does not say.
   * @returns sentences about what may keep the CA from a certificate.
   * @throws PaddockError where it certainly will.
   */
  look(
    question: { readonly names: readonly string[]; readonly identities: readonly string[] },
    signal: AbortSignal,
  ): Promise<readonly string[]>;
}
