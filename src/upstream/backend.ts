import type { UpstreamAddress } from "../config/configuration.ts";
import type { Deadlines } from "../exchange/deadlines.ts";
import { UpstreamConnection } from "./connection.ts";
import type { UpstreamTimeouts } from "./connection-events.ts";
import type { UpstreamFailure } from "./failure.ts";
import { IdleLimit } from "./idle-limit.ts";

/** More idle connections than this to one app help nobody and hold its threads. */
const MOST_IDLE = 64;

/** `unknown` until the first connection; `down` from a connection that failed to one that succeeds. */
export type BackendState = "unknown" | "up" | "down";

/**
 * One address of an upstream, as one worker sees it: its connections and whether it is there. The connection given
 * back last is the first one taken, since it is the least likely to have been closed by the app meanwhile.
 */
export class Backend {
  readonly address: UpstreamAddress;
  /** As in the configuration. */
  readonly name: string;
  state: BackendState = "unknown";
  /** When it was first found to be down, milliseconds since the epoch. */
  downSince = 0;
  /** What the active check found last; true where there is none. */
  healthy = true;
  /** Requests that it has now. */
  inFlight = 0;
  readonly #timeouts: UpstreamTimeouts;
  readonly #deadlines: Deadlines;
  readonly #changed: (state: "up" | "down", failure: UpstreamFailure | null) => void;
  readonly #idle: UpstreamConnection[] = [];
  readonly #idleLimit = new IdleLimit();
  #closed = false;

  /** `changed` is called after each change of `state`, with the failure that it was found down by. */
  constructor(
    address: UpstreamAddress,
    timeouts: UpstreamTimeouts,
    deadlines: Deadlines,
    changed: (state: "up" | "down", failure: UpstreamFailure | null) => void,
  ) {
    this.address = address;
    this.name = address.kind === "unix" ? `unix:${address.path}` : `http://${address.host}:${address.port}`;
    this.#timeouts = timeouts;
    this.#deadlines = deadlines;
    this.#changed = changed;
  }

  /**
   * An idle connection, or a fresh one; `fresh` asks for one that cannot be stale. `preamble`: what it has to begin
   * with; it is then fresh, and carries one request. Counts as in flight.
   */
  take(fresh: boolean, preamble: Buffer | null = null): UpstreamConnection {
    this.inFlight++;
    if (preamble !== null) return this.#dial(preamble);
    return (fresh ? undefined : this.#takeIdle()) ?? this.#dial(null);
  }

  #takeIdle(): UpstreamConnection | undefined {
    const now = Date.now();
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (this.#idleLimit.allows(now - idle.idleSince, now)) return idle;
      idle.destroy();
    }
    return undefined;
  }

  #dial(preamble: Buffer | null): UpstreamConnection {
    const owner = {
      connected: () => this.up(),
      idle: (connection: UpstreamConnection) =>
        preamble === null ? this.#giveBack(connection) : connection.destroy(),
      gone: (connection: UpstreamConnection) => this.#forget(connection),
      keepAlive: (value: string) => this.#idleLimit.learn(value),
    };
    return new UpstreamConnection(this.address, this.#timeouts, this.#deadlines, owner, preamble);
  }

  up(): void {
    if (this.state === "up") return;
    this.state = "up";
    this.#changed("up", null);
  }

  down(failure: UpstreamFailure): void {
    if (this.state === "down") return;
    this.state = "down";
    this.downSince = Date.now();
    this.#changed("down", failure);
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  #giveBack(connection: UpstreamConnection): void {
    if (this.#closed || this.#idle.length >= MOST_IDLE) connection.destroy();
    else this.#idle.push(connection);
  }

  /** It has closed; while it was idle that was the app's doing, and tells how long the app keeps one. */
  #forget(connection: UpstreamConnection): void {
    const index = this.#idle.indexOf(connection);
    if (index === -1) return;
    this.#idle.splice(index, 1);
    const now = Date.now();
    this.#idleLimit.observe(now - connection.idleSince, now);
  }
}
