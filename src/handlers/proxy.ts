import { BodyBuffer, type BufferOptions } from "../buffering/body-buffer.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { respondWithError } from "./error-page.ts";
import { Forwarding, type ForwardingOptions } from "./forwarding.ts";

export interface ProxyOptions extends ForwardingOptions {
  /** Null streams the body to the app as it comes in. */
  readonly bufferRequest: BufferOptions | null;
}

/** Passes the exchange to the app and the app's response back. */
export function proxy(exchange: Exchange, options: ProxyOptions): void {
  exchange.handler = "proxy";
  const { maxBody, bufferRequest } = options;
  if (exchange.bodyLength > maxBody) {
    exchange.failure = `a request body of ${exchange.bodyLength} bytes; raise maxBody to let it through`;
    respondWithError(exchange, 413);
    return;
  }
  if (exchange.bodyLength === 0 || bufferRequest === null) {
    new Forwarding(exchange, options, null).start();
    return;
  }
  // The app hears of the request when all of it is here: a slow upload does not hold a worker.
  const buffer = new BodyBuffer(
    exchange,
    { ...bufferRequest, maxBody },
    {
      whole: (body) => new Forwarding(exchange, options, body).start(),
      failed: (status, reason) => {
        exchange.failure ||= reason;
        if (status !== 499) respondWithError(exchange, status);
      },
    },
  );
  exchange.onClose = () => {
    exchange.failure ||= "the client went away before its request was complete";
    buffer.cancel();
  };
}
