import type { ResponseFilter, ResponseWriter } from "../exchange/response-filter.ts";
import { fieldValue, listHas } from "../http1/fields.ts";
import { CompressedResponse, SMALLEST } from "./compression/compressed-response.ts";
import { addVary, compressedFields, matchNotModified, mayBeEncoded } from "./compression/response-fields.ts";
import { isCompressible } from "./static/compressible-types.ts";
import { codingWeights, preferredCoding, type Compression } from "./static/content-coding.ts";

/**
 * What a client that accepts all of them equally gets, by processor time for a page of 30 KB: zstd takes half to two
 * thirds of what gzip and br take, for sizes within a tenth of each other (docs/compression.md).
 */
const ORDER: readonly Compression[] = ["zstd", "br", "gzip"];

/**
 * Compresses the app's responses by Accept-Encoding (RFC 9110 section 12.5.3). The questions that most responses
 * answer with no are asked first, and none of them allocates.
 *
 * `X-Accel-Buffering: no` changes nothing: it asks that no byte waits for the next, and none does, since each
 * batch is flushed. Event streams are left out by their type, see compressible-types.ts.
 */
export const compression: ResponseFilter = (exchange, status, fields, length, next) => {
  if (status === 304) {
    const type = fieldValue(fields, "content-type");
    if (type === undefined || isCompressible(type)) matchNotModified(exchange.fields, fields);
    return next;
  }
  if (!isWorthEncoding(status, fields, length)) return next;
  // From here on the answer depends on what the client accepts, also where this one gets the body as it is.
  addVary(fields);
  const coding = codingFor(exchange.fields);
  if (coding === null) return next;
  return exchange.method === "HEAD"
    ? new CompressedHead(next, coding)
    : new CompressedResponse(exchange, next, coding, isSecret(exchange.fields, fields));
};

/** Whether a response, by its own fields, may be compressed for a client that accepts that. */
export function isWorthEncoding(status: number, fields: readonly string[], length: number): boolean {
  if (length >= 0 && length < SMALLEST) return false;
  if (status === 204 || status === 206) return false;
  const type = fieldValue(fields, "content-type");
  return type !== undefined && isCompressible(type) && mayBeEncoded(fields);
}

/**
 * What to compress with for a client; null where it wants the body as it is, or forbids transformation (RFC 9111
 * section 5.2.1.6).
 */
export function codingFor(requestFields: readonly string[]): Compression | null {
  let accepted: string | undefined;
  for (let index = 0; index < requestFields.length; index += 2) {
    const value = requestFields[index + 1] as string;
    if (requestFields[index] === "accept-encoding")
      accepted = accepted === undefined ? value : `${accepted}, ${value}`;
    else if (requestFields[index] === "cache-control" && /\bno-transform\b/i.test(value)) return null;
  }
  return accepted === undefined ? null : preferredCoding(codingWeights(accepted), ORDER);
}

/**
 * Whether the response may hold what is this visitor's alone, a CSRF token above all: it sets a cookie, says that it
 * depends on one, or answers a request that had one or a password that the browser sends by itself. To look for the
 * token in the body would be a guess at what each framework calls it.
 */
function isSecret(requestFields: readonly string[], fields: readonly string[]): boolean {
  for (let index = 0; index < requestFields.length; index += 2)
    if (requestFields[index] === "cookie" || requestFields[index] === "authorization") return true;
  return fieldValue(fields, "set-cookie") !== undefined || listHas(fields, "vary", "cookie");
}

/** The head that GET would have had. Its Content-Length would only be known if the body were. */
class CompressedHead implements ResponseWriter {
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null = null;
  readonly #next: ResponseWriter;
  readonly #coding: Compression;

  constructor(next: ResponseWriter, coding: Compression) {
    this.#next = next;
    this.#coding = coding;
  }

  begin(status: number, fields: readonly string[]): void {
    this.#next.begin(status, compressedFields(fields, this.#coding), -1);
  }

  write(): boolean {
    return true;
  }

  finish(): void {
    this.#next.finish();
  }

  abort(): void {
    this.#next.abort();
  }
}
