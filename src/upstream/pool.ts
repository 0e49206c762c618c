import type { UpstreamConfiguration } from "../config/configuration.ts";
import type { Deadlines } from "../exchange/deadlines.ts";
import { UpstreamConnection } from "./connection.ts";

/** More idle connections than this to one app help nobody and hold its threads. */
const MOST_IDLE = 64;

/**
 * The connections of one worker to one upstream. The last one given back is the first one taken, since it is the
 * least likely to have been closed by the app meanwhile.
 */
export class UpstreamPool {
  readonly upstream: UpstreamConfiguration;
  readonly #deadlines: Deadlines;
  readonly #idle: UpstreamConnection[] = [];
  #closed = false;

  constructor(upstream: UpstreamConfiguration, deadlines: Deadlines) {
    this.upstream = upstream;
    this.#deadlines = deadlines;
  }

  /** An idle connection, or a fresh one; `fresh` asks for one that cannot be stale. */
  take(fresh: boolean): UpstreamConnection {
    const idle = fresh ? undefined : this.#idle.pop();
    return (
      idle ??
      new UpstreamConnection(
        this.upstream,
        this.#deadlines,
        (connection) => this.#giveBack(connection),
        (connection) => this.#forget(connection),
      )
    );
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #giveBack(connection: UpstreamConnection): void {
    if (this.#closed || this.#idle.length >= MOST_IDLE) connection.destroy();
    else this.#idle.push(connection);
  }

  #forget(connection: UpstreamConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
  }
}
