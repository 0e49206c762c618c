import type { Exchange } from "../exchange/exchange.ts";
import { respondWithError } from "./error-page.ts";

const PREFIX = "/.well-known/acme-challenge/";

export function isAcmeChallenge(target: string): boolean {
  return target.startsWith(PREFIX);
}

/** RFC 8555 section 8.3: the key authorization as application/octet-stream. */
export function answerAcmeChallenge(
  exchange: Exchange,
  keyAuthorizations: ReadonlyMap<string, string>,
): void {
  exchange.handler = "acme-challenge";
  const found = keyAuthorizations.get(exchange.target.slice(PREFIX.length));
  if (found === undefined) respondWithError(exchange, 404);
  else
    exchange.respond(
      200,
      ["content-type", "application/octet-stream", "server", "paddock"],
      Buffer.from(found),
    );
}
