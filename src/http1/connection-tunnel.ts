import type { Tunnel } from "../exchange/tunnel.ts";
import type { ServerConnection } from "./server-connection.ts";

/** A connection that has left HTTP (RFC 9110 section 7.8). */
export class ConnectionTunnel implements Tunnel {
  onData: (data: Buffer) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onClose: () => void = () => undefined;
  readonly #connection: ServerConnection;
  /** Told of the bytes that the client gets. */
  readonly #count: (bytes: number) => void;

  constructor(connection: ServerConnection, count: (bytes: number) => void) {
    this.#connection = connection;
    this.#count = count;
  }

  write(data: Buffer, transient = false): boolean {
    if (this.#connection.socket.writableEnded) return true;
    this.#count(data.length);
    const flowing = this.#connection.socket.write(transient ? Buffer.from(data) : data);
    if (!flowing) this.#connection.watchWrite();
    return flowing;
  }

  end(): void {
    if (this.#connection.socket.writableEnded) return;
    this.#connection.socket.end();
    // A client that does not close its side in turn holds the connection no longer than a stalled write.
    this.#connection.watchClose();
  }

  pause(): void {
    this.#connection.socket.pause();
  }

  resume(): void {
    this.#connection.socket.resume();
  }
}
