import type { ListeningSocket } from "../listeners.ts";
import type { OwnAddress } from "./handshake.ts";

/**
 * Where the https listeners can be reached from this machine: what the kernel says of each socket, so that a free
 * port (`:0`) and a socket of systemd's are right too. A wildcard address is reached by loopback.
 */
export function ownAddresses(sockets: readonly ListeningSocket[]): OwnAddress[] {
  const found = new Map<string, OwnAddress>();
  for (const { listener, handle } of sockets) {
    if (listener !== "https") continue;
    const name: { address?: string; port?: number } = {};
    // A Unix socket of systemd's has no address: nobody shakes hands there by name.
    if (handle.getsockname(name) !== 0 || name.address === undefined || name.port === undefined) continue;
    const host = name.address === "::" ? "::1" : name.address === "0.0.0.0" ? "127.0.0.1" : name.address;
    found.set(`${host} ${name.port}`, { host, port: name.port });
  }
  return [...found.values()];
}
