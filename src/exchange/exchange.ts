import type { Tunnel } from "./tunnel.ts";

/**
 * One request and its response, whatever the protocol underneath. HTTP/1.1 and HTTP/2 each make Exchanges;
 * handlers do not know which.
 */
export interface Exchange {
  readonly protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2.0";
  readonly method: string;
  /** Origin-form: path and query as the client sent them. */
  readonly target: string;
  /** Host or :authority as the client sent it. */
  readonly host: string;
  /** Request fields, name and value alternating, names in lower case. */
  readonly fields: readonly string[];
  /** The peer's, until a trusted proxy is found to have named another. */
  clientAddress: string;
  /** X-Forwarded-For as a trusted proxy sent it, with that proxy's address behind it; else the empty string. */
  forwardedFor: string;
  /** What the app gets in place of `fields`, where a handler took something out or put something in; else null. */
  appFields: readonly string[] | null;
  /** Values of Set-Cookie for whatever the response will be, before its own; from an auth server. Else null. */
  setCookies: readonly string[] | null;
  readonly secure: boolean;
  /** The server name of the TLS handshake; empty where there was none. */
  readonly serverName: string;
  /** X-Request-ID of this request. */
  readonly id: string;
  /** Milliseconds since the epoch, when the head was complete. */
  readonly startedAt: number;
  /** Bytes of the request body; -1 when only its end will tell; 0 when there is none. */
  readonly bodyLength: number;
  /**
   * What the client wants to speak on this connection or stream once the app agrees: `websocket`, by Upgrade over
   * HTTP/1.1 and by extended CONNECT (RFC 8441) over HTTP/2; else the empty string.
   */
  readonly upgrade: "" | "websocket";
  /** The site that answers, for logs and metrics; set by the router. */
  site: string;
  /** The handler that answers, for logs and metrics. */
  handler: string;
  /** The site's own error pages, see SiteConfiguration; set by the router. */
  errorPages: Readonly<Record<string, string>> | null;
  /** What went wrong and what to do about it; for the log line, never for the client. */
  failure: string;
  /** Sent to the client so far. */
  readonly status: number;
  readonly bytesSent: number;

  /** Begins to deliver the body; MUST be called at most once. Sends 100 Continue where it is awaited. */
  readBody(sink: BodySink): void;
  pauseBody(): void;
  resumeBody(): void;

  /** Passes a 1xx on; dropped where the client cannot take it. */
  inform(status: number, fields: readonly string[]): void;
  /** A whole response in one go. `fields` MUST NOT hold framing fields; the Exchange frames. */
  respond(status: number, fields: readonly string[], body: Buffer | null): void;
  /** Begins a response whose body follows by write; `length` in bytes or -1 where unknown. */
  begin(status: number, fields: readonly string[], length: number): void;
  /**
   * False means: stop until onDrain. The bytes are the Exchange's from here on, unless `transient` says that they
   * are valid during the call only; then it copies what it cannot send at once.
   */
  write(chunk: Buffer, transient?: boolean): boolean;
  finish(): void;
  /** Breaks the response off so that the client can tell that it is not whole. */
  abort(): void;

  /**
   * Agrees to the upgrade; MUST be called only where `upgrade` asks for one, and in place of a response. `fields` MUST
   * NOT hold Connection or Upgrade. The exchange is settled when the tunnel closes.
   */
  openTunnel(fields: readonly string[]): Tunnel;

  onDrain: (() => void) | null;
  /** The client has gone before the response was finished. */
  onClose: (() => void) | null;
  /** The response is done or has been broken off; called exactly once, last. */
  onSettled: ((completed: boolean) => void) | null;
}

export interface BodySink {
  /** `data` is valid during the call only. */
  data(data: Buffer): void;
  end(): void;
  /** The body broke: `status` is what the client is to be answered with, 400, 408 or 413; 499 if it has gone. */
  error(status: number, reason: string): void;
}
