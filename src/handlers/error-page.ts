import type { Exchange } from "../exchange/exchange.ts";
import { httpDate } from "../exchange/http-date.ts";
import { reasonPhrase } from "../exchange/reason.ts";
import { fieldValue } from "../http1/fields.ts";

/**
 * Paddock's own answer to what failed: a plain page, or application/problem+json (RFC 9457) where the client
 * prefers JSON. It tells the status and the request's id and nothing of the machine; the log line tells the rest.
 */
export function respondWithError(exchange: Exchange, status: number, extra: readonly string[] = []): void {
  const title = reasonPhrase(status);
  const accept = fieldValue(exchange.fields, "accept") ?? "";
  const json = /application\/(?:problem\+)?json/i.test(accept) && !/text\/html/i.test(accept);
  const body = json
    ? `${JSON.stringify({ type: "about:blank", title, status, requestId: exchange.id })}\n`
    : page(status, title, exchange.id);
  exchange.respond(
    status,
    [
      "server",
      "paddock",
      "content-type",
      json ? "application/problem+json" : "text/html; charset=utf-8",
      "x-request-id",
      exchange.id,
      "cache-control",
      "no-store",
      "date",
      httpDate(),
      ...extra,
    ],
    Buffer.from(body),
  );
}

function page(status: number, title: string, id: string): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>${status} ${title}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}
h1{font-size:1.5rem}code{font-size:.85rem;opacity:.7}</style>
<h1>${status} ${title}</h1><p>The request could not be answered. If it keeps happening, tell the people who run
this site, with the number below.</p><p><code>${id}</code></p></html>
`;
}
