import type { Exchange } from "../../exchange/exchange.ts";
import type { ResponseWriter } from "../../exchange/response-filter.ts";
import { fieldValue } from "../../http1/fields.ts";
import type { ProxyOptions } from "../proxy.ts";
import { requestedRange } from "../static/byte-range.ts";
import { isNotModified, rangeStillHolds } from "../static/preconditions.ts";
import { httpTime } from "./freshness.ts";
import { cacheStatus, type CacheOutcome } from "./cache-status.ts";
import { keptForm, type KeepForm } from "./kept-forms.ts";
import { readyFields } from "./ready-head.ts";
import type { StoredResponse } from "./stored-response.ts";

/** A body up to here goes out in one write with its head; a longer one in parts, at the client's pace, bytes. */
const ONE_WRITE = 64 * 1024;

/** What a 304 repeats of the 200 (RFC 9110 section 15.4.5). */
const IN_NOT_MODIFIED = new Set(["cache-control", "content-location", "date", "etag", "expires", "vary"]);

/** No entity tag and no date: nothing is equal to it. */
const NEVER = "\0";

/**
 * Answers a GET or HEAD from the store: 304 where the client has it already, the part that it asks for, or the whole.
 * What depends on this request and not on the page is made here: the security fields, X-Request-ID, Age, the coding.
 *
 * @param keep null where the site does not compress.
 */
export function serveStored(
  exchange: Exchange,
  response: StoredResponse,
  options: Pick<ProxyOptions, "finishFields" | "filter">,
  outcome: CacheOutcome,
  keep: KeepForm | null,
): void {
  exchange.handler = "cache";
  const age = String(response.age(Date.now()));
  const { body, status } = response;
  if (status === 200 && isKnownToClient(exchange, response)) {
    const fields = notModifiedFields(response);
    fields.push("age", age, "cache-status", cacheStatus(outcome));
    options.finishFields(fields, exchange);
    options.filter(exchange, 304, fields, -1, exchange);
    exchange.respond(304, fields, null);
    return;
  }
  const isPart = exchange.method === "GET" && status === 200 && exchange.fields.includes("range");
  const form = keep === null || isPart ? null : keptForm(exchange, response, options, keep);
  if (form !== null) {
    form.fields.push("age", age, "cache-status", cacheStatus(outcome));
    sendBody(exchange, exchange, status, form.fields, form.body);
    return;
  }
  const fields = readyFields(exchange, response, response.fields, options.finishFields);
  fields.push("age", age, "cache-status", cacheStatus(outcome));
  const range = rangeOf(exchange, response);
  if (range === "unsatisfiable") {
    fields.push("content-range", `bytes */${body.length}`);
    exchange.respond(416, fields, null);
    return;
  }
  if (range !== undefined) {
    const { start, length } = range;
    fields.push("content-range", `bytes ${start}-${start + length - 1}/${body.length}`);
    sendBody(exchange, exchange, 206, fields, body.subarray(start, start + length));
    return;
  }
  const writer = options.filter(exchange, status, fields, body.length, exchange);
  sendBody(exchange, writer, status, fields, body);
}

function sendBody(
  exchange: Exchange,
  writer: ResponseWriter,
  status: number,
  fields: readonly string[],
  body: Buffer,
): void {
  if (writer === exchange && body.length <= ONE_WRITE) {
    exchange.respond(status, fields, body);
    return;
  }
  let position = 0;
  let gone = false;
  writer.onClose = () => {
    gone = true;
    exchange.failure ||= "the client went away";
  };
  const pump = (): void => {
    let flowing = true;
    while (flowing && position < body.length) {
      const part = body.subarray(position, position + ONE_WRITE);
      position += part.length;
      flowing = writer.write(part);
      if (gone) return;
    }
    if (position < body.length) return;
    // A body without bytes comes here once too, and one that has drained at its end must not.
    writer.onDrain = null;
    writer.finish();
  };
  writer.onDrain = pump;
  writer.begin(status, fields, body.length);
  if (exchange.method === "HEAD") position = body.length;
  pump();
}

function isKnownToClient(exchange: Exchange, response: StoredResponse): boolean {
  let ifNoneMatch: string | undefined;
  let ifModifiedSince: string | undefined;
  for (let index = 0; index < exchange.fields.length; index += 2) {
    if (exchange.fields[index] === "if-none-match") {
      const value = exchange.fields[index + 1] as string;
      ifNoneMatch = ifNoneMatch === undefined ? value : `${ifNoneMatch}, ${value}`;
    } else if (exchange.fields[index] === "if-modified-since") ifModifiedSince ??= exchange.fields[index + 1];
  }
  if (ifNoneMatch === undefined && ifModifiedSince === undefined) return false;
  const { etag, lastModified } = response;
  const modified = httpTime(lastModified);
  return isNotModified(ifNoneMatch, ifModifiedSince, {
    etag: etag === "" ? NEVER : etag.replace(/^W\//, ""),
    modified: modified === undefined ? Infinity : modified / 1000,
    lastModified: lastModified === "" ? NEVER : lastModified,
  });
}

/** A date is no strong validator here (RFC 9110 section 8.8.2.2), so If-Range with one gets the whole. */
function rangeOf(exchange: Exchange, response: StoredResponse): ReturnType<typeof requestedRange> {
  if (exchange.method !== "GET" || response.status !== 200) return undefined;
  const range = fieldValue(exchange.fields, "range");
  if (range === undefined) return undefined;
  const { etag } = response;
  const validators = { etag: etag.startsWith('"') ? etag : NEVER, modified: 0, lastModified: NEVER };
  return rangeStillHolds(fieldValue(exchange.fields, "if-range"), validators)
    ? requestedRange(range, response.body.length)
    : undefined;
}

function notModifiedFields(response: StoredResponse): string[] {
  const fields: string[] = [];
  for (let index = 0; index < response.fields.length; index += 2) {
    const name = response.fields[index] as string;
    if (IN_NOT_MODIFIED.has(name)) fields.push(name, response.fields[index + 1] as string);
  }
  return fields;
}
