import type { ResponseHead } from "../http1/response-head.ts";
import type { UpstreamConnection } from "./connection.ts";
import type { UpstreamFailure } from "./failure.ts";
import type { ResponseEvents } from "./response-reader.ts";

/** Milliseconds each. */
export interface UpstreamTimeouts {
  readonly connectTimeout: number;
  /** From the request's last byte to the response head, and between two parts of the body. */
  readonly responseTimeout: number;
}

/** What the owner of connections is told. */
export interface ConnectionOwner {
  connected(): void;
  /** It has carried a whole exchange and can carry another. */
  idle(connection: UpstreamConnection): void;
  gone(connection: UpstreamConnection): void;
  /** A Keep-Alive field of the app. */
  keepAlive(value: string): void;
}

/** The app's side of an upgraded exchange. */
export interface TunnelEvents {
  /** Valid during the call only; return false to stop until resume(). */
  data(data: Buffer): boolean;
  /** The app has closed, or its connection broke. */
  end(): void;
}

export interface ResponseSink extends ResponseEvents {
  /** The app agreed to the upgrade; `first` is what it sent behind its 101, valid during the call only. */
  upgraded?(head: ResponseHead, first: Buffer): void;
  end(): void;
  error(failure: UpstreamFailure): void;
}
