import type { Socket } from "node:net";

/**
 * Bytes that the kernel has taken from a TCP socket since it was opened: what tells a client that reads slowly from one
 * that does not read. Node says when a write is complete, and one of 256 KB may rightly take minutes; `bytesWritten`
 * holds all that is waiting as well. What waits is told by `writeQueueSize` of the handle alone, which Node's own
 * `setTimeout` looks at for the same purpose; where it is missing, whole writes count.
 */
export function sentBytes(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle?: { writeQueueSize?: number } | null };
  return socket.bytesWritten - (handle?.writeQueueSize ?? 0);
}
