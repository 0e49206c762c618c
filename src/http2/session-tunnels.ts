import type { StreamTunnel } from "./stream-tunnel.ts";

/** The WebSockets of one session. They outlive its GOAWAY, but not the daemon. */
export class SessionTunnels {
  readonly #open = new Set<StreamTunnel>();
  #ended = false;

  opened(tunnel: StreamTunnel): void {
    this.#open.add(tunnel);
    // Its app agreed only after the rest had been ended.
    if (this.#ended) tunnel.end();
  }

  closed(tunnel: StreamTunnel): void {
    this.#open.delete(tunnel);
  }

  /** Ends each, and each that is still to open. */
  end(): void {
    this.#ended = true;
    for (const tunnel of this.#open) tunnel.end();
  }
}
