import type { Exchange } from "../../exchange/exchange.ts";
import { listHas } from "../../http1/fields.ts";
import { codingFor, isWorthEncoding } from "../compression.ts";
import { Encoder } from "../compression/encoder.ts";
import { addVary, compressedFields } from "../compression/response-fields.ts";
import type { ProxyOptions } from "../proxy.ts";
import { readyFields } from "./ready-head.ts";
import type { StoredResponse } from "./stored-response.ts";

/** The head and the body that a client of some coding gets of a stored response. */
export interface KeptForm {
  readonly fields: string[];
  readonly body: Buffer;
}

/**
 * Counts the bytes of a compressed form of a stored response; false where they are not to be kept, since there is no
 * room for them or the response has gone.
 */
export type KeepForm = (response: StoredResponse, bytes: number) => boolean;

/**
 * The compressed form of a stored response, made when it is first asked for. Null where there is none, or none yet:
 * then the response goes through the filter as any other, and nobody waits.
 *
 * What depends on a cookie is never kept compressed: it may hold a visitor's secret, and each answer has to hide its
 * length anew (compression/length-hiding.ts). What does not is the same for everybody, so that there is nothing in it
 * to guess, also for a visitor who has a cookie.
 */
export function keptForm(
  exchange: Exchange,
  response: StoredResponse,
  { finishFields }: Pick<ProxyOptions, "finishFields">,
  keep: KeepForm,
): KeptForm | null {
  const coding = codingFor(exchange.fields);
  if (coding === null) return null;
  response.forms ??= mayBeKept(response) ? {} : { zstd: "useless", br: "useless", gzip: "useless" };
  const { forms } = response;
  const form = forms[coding];
  if (form === "making" || form === "useless") return null;
  if (form !== undefined) {
    const fields = readyFields(exchange, form, response.fields, finishFields, (finished) => {
      addVary(finished);
      return compressedFields(finished, coding);
    });
    return { fields, body: form.body };
  }
  forms[coding] = "making";
  new Encoder(coding, response.body.length, false).encode(response.body, true, (error, output) => {
    const body = Buffer.concat(output);
    const isOfUse = error === null && body.length < response.body.length && keep(response, body.length);
    forms[coding] = isOfUse ? { body, ready: null } : "useless";
  });
  return null;
}

function mayBeKept({ status, fields, body }: StoredResponse): boolean {
  return isWorthEncoding(status, fields, body.length) && !listHas(fields, "vary", "cookie");
}
