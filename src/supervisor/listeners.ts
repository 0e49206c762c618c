import * as net from "node:net";
import { getSystemErrorName } from "node:util";
import type { ListenAddress } from "../config/configuration.ts";
import { PaddockError } from "../errors.ts";
import { socketFromSystemd } from "./systemd.ts";

export type Listener = "http" | "https";

/** What Node's net and node:cluster call a handle: a socket that is bound, and that a child process can be sent. */
export interface SocketHandle {
  close(): void;
  /** Negative errno, or 0. */
  getsockname(address: object): number;
}

/** A bound socket. The supervisor holds it, the workers listen on it (listen(2)) and accept. */
export interface ListeningSocket {
  /** Unique among the sockets that are open. */
  readonly key: string;
  readonly listener: Listener;
  readonly address: ListenAddress;
  /** The one of several for an address that SO_REUSEPORT lets the kernel choose among; null: all workers share it. */
  readonly index: number | null;
  readonly handle: SocketHandle;
}

export interface ListenConfiguration {
  readonly http: readonly ListenAddress[];
  readonly https: readonly ListenAddress[];
}

/** Node documents BoundSocket, which cannot be sent to a child; node:cluster uses this, and so do we. */
const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle(
    this: void,
    host: string | null,
    port: number,
    addressType: number,
    fd: number | null,
    flags: number,
  ): SocketHandle | number;
};

/** uv.h: UV_TCP_REUSEPORT. */
const REUSE_PORT = 2;

/**
 * The listening sockets. They live in the supervisor, so that a worker may come and go without a refused
 * connection: what the kernel has queued on a socket waits there for whichever worker listens on it next.
 * Each address has a socket per worker (SO_REUSEPORT), over which the kernel spreads connections evenly; only a
 * socket that systemd passed is shared by all.
 */
export class Listeners {
  #open: ListeningSocket[] = [];

  /** In the order in which they were opened. */
  get sockets(): readonly ListeningSocket[] {
    return this.#open;
  }

  /** Opens what is new; throws and changes nothing on failure. What is no longer wanted stays until `closeOthers`. */
  open(listen: ListenConfiguration, workers: number): void {
    const opened: ListeningSocket[] = [];
    try {
      for (const listener of ["http", "https"] as const) {
        for (const address of listen[listener]) opened.push(...this.#openAddress(listener, address, workers));
      }
    } catch (error) {
      for (const { handle } of opened) handle.close();
      throw error;
    }
    this.#open.push(...opened);
  }

  /**
   * Closes what is not in the configuration. A socket of an address that stays is kept even when there are fewer
   * workers than sockets: the kernel would reset the connections that it holds.
   */
  closeOthers(listen: ListenConfiguration): void {
    const wanted = new Set(
      (["http", "https"] as const).flatMap((listener) =>
        listen[listener].map((address) => `${listener} ${describe(address)}`),
      ),
    );
    this.#open = this.#open.filter(({ listener, address, handle }) => {
      if (wanted.has(`${listener} ${describe(address)}`)) return true;
      handle.close();
      return false;
    });
  }

  close(): void {
    for (const { handle } of this.#open.splice(0)) handle.close();
  }

  #openAddress(listener: Listener, address: ListenAddress, workers: number): ListeningSocket[] {
    const name = `${listener} ${describe(address)}`;
    const have = this.#open.filter((socket) => `${socket.listener} ${describe(socket.address)}` === name);
    if ("fdName" in address) {
      if (have.length > 0) return [];
      const handle = create(listener, address, null, 0, 0, socketFromSystemd(address.fdName), 0);
      return [{ key: name, listener, address, index: null, handle }];
    }
    const { host, port } = address;
    const type = net.isIPv6(host) ? 6 : 4;
    // With SO_REUSEPORT alone a second daemon would be let in and take half of the connections.
    if (have.length === 0) create(listener, address, host, port, type, null, 0).close();
    const opened: ListeningSocket[] = [];
    for (let index = have.length; index < workers; index++) {
      const handle = create(listener, address, host, port, type, null, REUSE_PORT);
      opened.push({ key: `${name} ${index}`, listener, address, index, handle });
    }
    return opened;
  }
}

/** Which of `workers` listens on which sockets; a worker that dies leaves its sockets to the others. */
export function socketsOf(
  worker: number,
  workers: number,
  sockets: readonly ListeningSocket[],
): ListeningSocket[] {
  return sockets.filter(({ index }) => index === null || index % workers === worker);
}

export function describe(address: ListenAddress): string {
  if ("fdName" in address) return `fd:${address.fdName}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function create(
  listener: Listener,
  address: ListenAddress,
  host: string | null,
  port: number,
  type: number,
  fd: number | null,
  flags: number,
): SocketHandle {
  const handle = createServerHandle(host, port, type, fd, flags);
  // libuv keeps EADDRINUSE of bind(2) back until the next call.
  const error = typeof handle === "number" ? handle : handle.getsockname({});
  if (typeof handle !== "number") {
    if (error === 0) return handle;
    handle.close();
  }
  throw listenError(getSystemErrorName(error), address, listener);
}

/** The sentence for an errno of bind(2) or listen(2). */
export function listenError(code: string, address: ListenAddress, listener: Listener): PaddockError {
  const fix =
    code === "EADDRINUSE"
      ? `another program has it (see: ss -ltnp); stop it, or change listen.${listener}`
      : code === "EACCES"
        ? "ports below 1024 need CAP_NET_BIND_SERVICE; use the systemd unit, or a higher port"
        : `correct listen.${listener}`;
  return new PaddockError("ERR_LISTEN", `cannot listen on ${describe(address)}: ${code}`, { fix });
}
