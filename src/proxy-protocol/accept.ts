import type { Socket } from "node:net";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";
import { readProxyHeader } from "./read.ts";

/** Milliseconds for the header; it comes with the first segment. */
const TIMEOUT = 10_000;

/**
 * Takes the PROXY header off an accepted connection, and leaves what follows in the socket. `done` gets the client's
 * address, or null where the sender speaks for itself. A connection without a right header is closed.
 */
export function acceptProxyHeader(
  socket: Socket,
  deadlines: Deadlines,
  done: (address: string | null) => void,
  refused: (reason: string) => void,
): void {
  let bytes: Buffer = Buffer.alloc(0);
  const watch: Expiring = {
    deadline: Date.now() + TIMEOUT,
    expire: () => close("the PROXY header did not come in time"),
  };
  const settle = (): void => {
    deadlines.delete(watch);
    socket.off("readable", read);
    socket.off("close", settle);
  };
  const close = (reason: string): void => {
    settle();
    socket.destroy();
    refused(reason);
  };
  const read = (): void => {
    const part = socket.read() as Buffer | null;
    if (part === null) return;
    bytes = bytes.length === 0 ? part : Buffer.concat([bytes, part]);
    const header = readProxyHeader(bytes);
    if (header === "incomplete") return;
    if (header === "invalid") {
      close("no PROXY header, or a wrong one, from an address of listen.proxyProtocol");
      return;
    }
    settle();
    const rest = bytes.subarray(header.length);
    if (rest.length > 0) socket.unshift(rest);
    done(header.address);
  };
  deadlines.add(watch);
  socket.on("error", () => socket.destroy());
  socket.on("close", settle);
  socket.on("readable", read);
}
