import type { ServerHttp2Stream } from "node:http2";
import type { Tunnel } from "../exchange/tunnel.ts";

export interface StreamTunnelOwner {
  /** Bytes that the client gets. */
  sent(bytes: number): void;
  /** A write waits for the client, until `drained`. */
  waiting(): void;
  closed(): void;
}

/** A stream that carries a WebSocket (RFC 8441). Flow control is the session's. */
export class StreamTunnel implements Tunnel {
  onData: (data: Buffer) => void = () => undefined;
  onDrain: () => void = () => undefined;
  onClose: () => void = () => undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #owner: StreamTunnelOwner;

  constructor(stream: ServerHttp2Stream, owner: StreamTunnelOwner) {
    this.#stream = stream;
    this.#owner = owner;
    stream.on("data", (data: Buffer) => this.onData(data));
    // RFC 8441 section 5: END_STREAM is what a closed connection is over TCP, in both directions.
    stream.on("end", () => this.end());
    stream.on("close", () => {
      this.onClose();
      owner.closed();
    });
  }

  write(data: Buffer, transient = false): boolean {
    if (this.#stream.destroyed || this.#stream.writableEnded) return true;
    this.#owner.sent(data.length);
    const flowing = this.#stream.write(transient ? Buffer.from(data) : data);
    if (!flowing) this.#owner.waiting();
    return flowing;
  }

  end(): void {
    if (this.#stream.writableEnded) return;
    this.#stream.end();
    this.#owner.waiting();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}
