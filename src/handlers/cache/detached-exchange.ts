import type { BodySink, Exchange } from "../../exchange/exchange.ts";
import { requestId } from "../../exchange/request-id.ts";
import type { Tunnel } from "../../exchange/tunnel.ts";

/**
 * A request of the cache's own: the same as one of a client, who has been answered already. What the app says is for
 * the store, so nothing is sent and nothing is logged.
 */
export class DetachedExchange implements Exchange {
  readonly protocol: Exchange["protocol"];
  readonly method = "GET";
  readonly target: string;
  readonly host: string;
  readonly fields: readonly string[];
  clientAddress: string;
  forwardedFor: string;
  appFields: readonly string[] | null;
  setCookies = null;
  readonly secure: boolean;
  readonly serverName: string;
  readonly id = requestId();
  readonly startedAt = Date.now();
  readonly bodyLength = 0;
  readonly upgrade = "";
  site: string;
  handler = "cache";
  failure = "";
  errorPages: Readonly<Record<string, string>> | null = null;
  status = 0;
  readonly bytesSent = 0;
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null = null;
  onSettled: ((completed: boolean) => void) | null = null;

  constructor(client: Exchange) {
    this.protocol = client.protocol;
    this.target = client.target;
    this.host = client.host;
    this.fields = client.fields;
    this.clientAddress = client.clientAddress;
    this.forwardedFor = client.forwardedFor;
    this.appFields = client.appFields;
    this.secure = client.secure;
    this.serverName = client.serverName;
    this.site = client.site;
  }

  readBody(sink: BodySink): void {
    sink.end();
  }

  pauseBody(): void {
    // There is no body.
  }

  resumeBody(): void {
    // There is no body.
  }

  inform(): void {
    // Nobody waits.
  }

  respond(status: number): void {
    this.begin(status);
    this.finish();
  }

  begin(status: number): void {
    this.status = status;
  }

  write(): boolean {
    return true;
  }

  finish(): void {
    this.#settle(true);
  }

  abort(): void {
    this.#settle(false);
  }

  openTunnel(): Tunnel {
    throw new Error("a request without a client cannot be upgraded");
  }

  #settle(completed: boolean): void {
    const settled = this.onSettled;
    this.onSettled = null;
    settled?.(completed);
  }
}
