/**
 * A step on the way to a certificate, told to whoever ordered it. `certificates/issuer.ts` has the same shape:
 * the two folders are of one layer and do not know each other. Neither a token nor a key authorization is in it.
 */
export type Observation =
  | { readonly kind: "order-created"; readonly url: string }
  | {
      readonly kind: "challenge";
      readonly name: string;
      /** Null where the CA asked for none. */
      readonly challenge: string | null;
      readonly outcome: "valid" | "reused" | "failed";
      readonly error: unknown;
    };

export type Observer = (step: Observation) => void;
