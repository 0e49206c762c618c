import type { Deadlines } from "./deadlines.ts";
import type { Exchange } from "./exchange.ts";

/** What a connection from a client has to know, whatever the protocol. */
export interface ServerConnectionOptions {
  readonly clientAddress: string;
  readonly secure: boolean;
  readonly serverName: string;
  readonly timeouts: ServerTimeouts;
  readonly deadlines: Deadlines;
  /** Bytes that the kernel has taken from this connection since it began. */
  readonly sent: () => number;
  /** Answers one request. */
  readonly handle: (exchange: Exchange) => void;
  /** Told of each message that was refused before it became an Exchange. */
  readonly refused: (status: number, reason: string, clientAddress: string) => void;
  readonly closed: () => void;
}

/** Milliseconds each. */
export interface ServerTimeouts {
  readonly requestHead: number;
  readonly keepAlive: number;
  readonly body: number;
  readonly write: number;
}
