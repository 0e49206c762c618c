import { createServer, type Server, type Socket } from "node:net";
import type { ListenAddress } from "../config/configuration.ts";
import { PaddockError, systemErrorCode } from "../errors.ts";
import { socketFromSystemd } from "./systemd.ts";

type Give = (socket: Socket, listener: "http" | "https") => void;

/**
 * The listening sockets. They live in the supervisor, so that a worker may come and go without a refused
 * connection; each accepted connection is handed over unread.
 */
export class Listeners {
  readonly #open = new Map<string, Server>();
  readonly #give: Give;

  constructor(give: Give) {
    this.#give = give;
  }

  /** Opens what is new, and only then closes what is no longer wanted; throws and changes nothing on failure. */
  async configure(listen: {
    readonly http: readonly ListenAddress[];
    readonly https: readonly ListenAddress[];
  }): Promise<void> {
    const wanted = new Map<string, { listener: "http" | "https"; address: ListenAddress }>();
    for (const listener of ["http", "https"] as const) {
      for (const address of listen[listener])
        wanted.set(`${listener} ${describe(address)}`, { listener, address });
    }
    const opened = new Map<string, Server>();
    try {
      for (const [key, { listener, address }] of wanted) {
        if (!this.#open.has(key)) opened.set(key, await this.#listen(listener, address));
      }
    } catch (error) {
      for (const server of opened.values()) server.close();
      throw error;
    }
    for (const [key, server] of opened) this.#open.set(key, server);
    for (const [key, server] of this.#open) {
      if (wanted.has(key)) continue;
      server.close();
      this.#open.delete(key);
    }
  }

  close(): void {
    for (const server of this.#open.values()) server.close();
    this.#open.clear();
  }

  #listen(listener: "http" | "https", address: ListenAddress): Promise<Server> {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      this.#give(socket, listener);
    });
    const where =
      "fdName" in address ? { fd: socketFromSystemd(address.fdName) } : { ...address, backlog: 4096 };
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(listenError(error, describe(address), listener)));
      server.listen(where, () => {
        server.removeAllListeners("error");
        server.on("error", () => undefined);
        resolve(server);
      });
    });
  }
}

export function describe(address: ListenAddress): string {
  if ("fdName" in address) return `fd:${address.fdName}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function listenError(error: Error, where: string, listener: string): PaddockError {
  const code = systemErrorCode(error);
  const fix =
    code === "EADDRINUSE"
      ? `another program has it (see: ss -ltnp); stop it, or change listen.${listener}`
      : code === "EACCES"
        ? "ports below 1024 need CAP_NET_BIND_SERVICE; use the systemd unit, or a higher port"
        : `correct listen.${listener}`;
  return new PaddockError("ERR_LISTEN", `cannot listen on ${where}: ${code ?? error.message}`, {
    fix,
    cause: error,
  });
}
