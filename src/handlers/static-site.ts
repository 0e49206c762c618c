import type { StaticMapping } from "../config/configuration.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { respondWithError } from "./error-page.ts";
import { FileSending } from "./file-sending.ts";
import { staticRequest, type StaticResult } from "./static/static-answer.ts";
import { createStaticFiles } from "./static/static-files.ts";

type FinishFields = (fields: string[], exchange: Exchange) => void;

/** A site's static files on an Exchange. */
export interface StaticSite {
  /**
   * False where the target is below no static prefix. `restricted`: not everybody may have the file, so that no cache
   * on the way may keep it: `public` would allow that even for an answer to a password (RFC 9111 section 3.5).
   */
  answer(exchange: Exchange, restricted: boolean): boolean;
}

export function createStaticSite(
  mappings: readonly StaticMapping[],
  finish: FinishFields,
  options: { readonly compress: boolean },
): StaticSite {
  const files = createStaticFiles(mappings, options);
  const finishRestricted: FinishFields = (fields, exchange) => {
    finish(fields, exchange);
    for (let index = 0; index < fields.length; index += 2)
      if (fields[index] === "cache-control")
        fields[index + 1] = (fields[index + 1] as string).replace(/^public\b/, "private");
  };
  return {
    answer(exchange, restricted) {
      const complete = restricted ? finishRestricted : finish;
      const { target } = exchange;
      const query = target.indexOf("?");
      const path = query === -1 ? target : target.slice(0, query);
      const result = files.lookup(path, exchange.method, staticRequest(exchange.fields));
      if (result === undefined) return false;
      exchange.handler = "static";
      if (result instanceof Promise) void result.then((settled) => send(exchange, settled, complete));
      else send(exchange, result, complete);
      return true;
    },
  };
}

function send(exchange: Exchange, result: StaticResult, finish: FinishFields): void {
  if (result.kind === "none") {
    if (result.logReason !== undefined) exchange.failure = result.logReason;
    if (result.status >= 400) {
      respondWithError(exchange, result.status, result.fields);
      return;
    }
    const fields = completed(result.fields, exchange, finish);
    exchange.begin(result.status, fields, result.length);
    exchange.finish();
    return;
  }
  const fields = completed(result.fields, exchange, finish);
  if (result.kind === "memory") exchange.respond(result.status, fields, result.body);
  else new FileSending(exchange, exchange, result).begin(result.status, fields);
}

function completed(shared: readonly string[], exchange: Exchange, finish: FinishFields): string[] {
  const fields = [...shared];
  finish(fields, exchange);
  return fields;
}
