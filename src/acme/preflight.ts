/** What an ACME CA looks at, looked at before it does. */
export interface Preflight {
  /**
   * @param question.asksAddresses whether each address of the names is asked, which may take ten seconds where one is
   * silent.
   * @param question.identities what the CA answers to in CAA records; empty where its directory does not say.
   * @returns sentences about what may keep the CA from a certificate.
   * @throws PaddockError where it certainly will.
   */
  look(
    question: {
      readonly names: readonly string[];
      readonly identities: readonly string[];
      readonly asksAddresses: boolean;
    },
    signal: AbortSignal,
  ): Promise<readonly string[]>;
}
