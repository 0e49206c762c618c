import type { Exchange } from "../../exchange/exchange.ts";
import type { Compression } from "../static/content-coding.ts";

/** What of a head is the same for all hits, as long as the same configuration completes it. */
export interface ReadyHead {
  readonly finish: unknown;
  readonly secure: boolean;
  readonly fields: readonly string[];
  /** Of X-Request-ID's value; -1 where it has none. */
  readonly idAt: number;
}

/** The body in one content coding, and the head that goes with it. */
export interface CompressedForm {
  readonly body: Buffer;
  ready: ReadyHead | null;
}

/** `making`: it is with the compressor. `useless`: not smaller, or too large to be kept. */
export type CompressedForms = Partial<Record<Compression, CompressedForm | "making" | "useless">>;

type FinishFields = (fields: string[], exchange: Exchange) => void;

/**
 * A list of the hit's own, of a head that is completed once: by the first hit, for all that have the same scheme and
 * the same configuration. The request's id is all that finishFields takes from the request beside these.
 *
 * @param holder keeps the completed head.
 * @param fields those of the stored response.
 * @param change made to the completed fields, once.
 */
export function readyFields(
  exchange: Exchange,
  holder: { ready: ReadyHead | null },
  fields: readonly string[],
  finishFields: FinishFields,
  change: (fields: string[]) => string[] = (same) => same,
): string[] {
  const { ready } = holder;
  if (ready !== null && ready.finish === finishFields && ready.secure === exchange.secure) {
    const own = ready.fields.slice();
    if (ready.idAt >= 0) own[ready.idAt] = exchange.id;
    return own;
  }
  const finished = fields.slice();
  finishFields(finished, exchange);
  const completed = change(finished);
  const name = completed.findIndex((text, index) => index % 2 === 0 && text === "x-request-id");
  const idAt = name === -1 ? -1 : name + 1;
  holder.ready = { finish: finishFields, secure: exchange.secure, fields: completed.slice(), idAt };
  return completed;
}
