import type { Exchange } from "../exchange/exchange.ts";
import { httpDate } from "../exchange/http-date.ts";

/** To the same host, path and query on https; `port` is named only where the Host named one. */
export function redirectToHttps(exchange: Exchange, name: string, port: number): void {
  exchange.handler = "redirect";
  const hasPort = /:[0-9]+$/.test(exchange.host);
  // RFC 3986 section 3.2.2: the router knows an IPv6 address without its brackets.
  const host = name.includes(":") ? `[${name}]` : name;
  redirect(exchange, `https://${host}${hasPort && port !== 443 ? `:${port}` : ""}${pathOf(exchange)}`);
}

/** To the site's canonical name, on the port that the client used. */
export function redirectToCanonical(exchange: Exchange, canonical: string): void {
  exchange.handler = "redirect";
  const port = /:[0-9]+$/.exec(exchange.host)?.[0] ?? "";
  redirect(exchange, `${exchange.secure ? "https" : "http"}://${canonical}${port}${pathOf(exchange)}`);
}

/** `//evil.example` after an authority stays a path, since the authority is always written before it. */
function pathOf(exchange: Exchange): string {
  return exchange.target === "*" ? "/" : exchange.target;
}

/** 301 for GET and HEAD; 308 for the others, which keeps their method and body (RFC 9110 section 15.4.9). */
function redirect(exchange: Exchange, location: string): void {
  const status = exchange.method === "GET" || exchange.method === "HEAD" ? 301 : 308;
  const fields = ["server", "paddock", "location", location, "date", httpDate()];
  exchange.respond(status, fields, null);
}
