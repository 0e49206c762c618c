import type { Exchange } from "./exchange.ts";

/**
 * The response half of an Exchange, as a handler writes to it: the Exchange itself, or a filter that stands in front
 * of it and changes what goes through. The contract of each member is that of Exchange.
 *
 * A filter that does its work later (in the thread pool, say) MUST hold these:
 *
 * - `write` returns false once it holds as much as it may, and `onDrain` is called when it can take more.
 * - It takes over `onDrain` and `onClose` of the writer behind it, keeps what `onClose` was as its own, and calls
 *   that when the client has gone, which may be after the handler's `finish`.
 * - It holds the head back as long as it does not know it, and stops silently where it finds that the Exchange has
 *   been answered meanwhile: what went wrong in the handler after `begin` may have become an error page.
 */
export type ResponseWriter = Pick<Exchange, "begin" | "write" | "finish" | "abort" | "onDrain" | "onClose">;

/**
 * Looks at the head of a response before `begin` and gives the writer that the handler has to use: `next` itself
 * where there is nothing to do, which MUST cost next to nothing, or one of its own in front of it.
 *
 * `fields` are the handler's own list and may be changed in place. `length` is the body's in bytes, -1 where
 * unknown; for HEAD it is what GET would have.
 */
export type ResponseFilter = (
  exchange: Exchange,
  status: number,
  fields: string[],
  length: number,
  next: ResponseWriter,
) => ResponseWriter;

/** Filters as one; the first is the nearest to the client, the last sees what the handler wrote. */
export function filtersInOrder(filters: readonly ResponseFilter[]): ResponseFilter {
  return (exchange, status, fields, length, next) => {
    let writer = next;
    for (const filter of filters) writer = filter(exchange, status, fields, length, writer);
    return writer;
  };
}
