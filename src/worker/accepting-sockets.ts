import { createServer, type Server, type Socket } from "node:net";

export type Listener = "http" | "https";

/** As nginx's default is 511: connections that a burst may queue; the kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4096;

/** The sockets on which this worker accepts. The supervisor holds them too, so closing one here resets nothing. */
export class AcceptingSockets {
  readonly #servers = new Map<string, Server>();
  readonly #accept: (socket: Socket, listener: Listener) => void;

  constructor(accept: (socket: Socket, listener: Listener) => void) {
    this.#accept = accept;
  }

  /** Resolves when it listens; rejects with the error of listen(2), such as EADDRINUSE. */
  listen(key: string, listener: Listener, handle: unknown): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket, listener));
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(handle, BACKLOG, () => {
        // What can fail from here on is accept(2), for want of descriptors; libuv tries again.
        server.off("error", reject);
        server.on("error", () => undefined);
        this.#servers.get(key)?.close();
        this.#servers.set(key, server);
        resolve();
      });
    });
  }

  leave(key: string): void {
    this.#servers.get(key)?.close();
    this.#servers.delete(key);
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    this.#servers.clear();
  }
}
