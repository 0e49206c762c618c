import { constants } from "node:http2";
import type { Deadlines, Expiring } from "../exchange/deadlines.ts";

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_SETTINGS_TIMEOUT } = constants;

/** More than the 128 streams that a browser cancels at once when its user leaves a page. */
const WASTED_STREAMS = { burst: 200, perSecond: 10 };
/** Answered at once by RFC 9113 sections 6.5.3 and 6.7; a client that keeps a connection alive sends one in a while. */
const CONTROL_FRAMES = { burst: 200, perSecond: 20 };

/** Milliseconds between two looks at what no event tells. */
const LOOK = 1_000;

export interface ConductOptions {
  /** Milliseconds each. */
  readonly timeouts: { readonly requestHead: number; readonly keepAlive: number };
  readonly deadlines: Deadlines;
  /** Highest stream that nghttp2 has begun to read the head of; 0 before the first. */
  readonly lastStream: () => number;
  /** Ends the connection by GOAWAY with an error code of RFC 9113 section 7. */
  readonly end: (code: number, reason: string) => void;
  /** Ends it when its streams are done. */
  readonly close: () => void;
}

/**
 * What a client does with its session, against what it may: nghttp2 ends a session for what breaks RFC 9113, and
 * bears whatever the RFC allows, for ever. Streams that come to nothing, by the client's reset (CVE-2023-44487), by
 * one that it made us send (CVE-2025-8671) or by a head that is refused, are each a request's work for no answer.
 * A head that is too large or not complete is no event; the highest stream that nghttp2 knows gives it away.
 */
export class SessionConduct implements Expiring {
  deadline: number;
  readonly #options: ConductOptions;
  readonly #wasted = new Allowance(WASTED_STREAMS);
  readonly #control = new Allowance(CONTROL_FRAMES);
  readonly #openedAt = Date.now();
  #prefaceSeen = false;
  #acknowledged = false;
  #open = 0;
  #idleSince = this.#openedAt;
  /** Of the streams whose head is complete. */
  #highest = 0;
  /** Of those that never became a request, as far as they have been counted. */
  #missing = -1;
  /** Begun, not complete at the last look, and since when. */
  #unfinished = -1;
  #unfinishedSince = 0;

  constructor(options: ConductOptions) {
    this.#options = options;
    this.deadline = this.#openedAt + LOOK;
    options.deadlines.add(this);
  }

  /** The session is over. */
  stop(): void {
    this.deadline = Infinity;
    this.#options.deadlines.delete(this);
  }

  /** A head is complete. */
  streamBegan(id: number): void {
    this.#open++;
    this.#miss(id - 2);
    this.#highest = id;
    this.#missing = Math.max(this.#missing, id);
  }

  /** `wasted`: by the client's doing it came to nothing. */
  streamEnded(wasted: boolean): void {
    this.#open--;
    this.#idleSince = Date.now();
    if (wasted) this.#waste(1);
  }

  settings(): void {
    this.#prefaceSeen = true;
    this.#answered("SETTINGS");
  }

  settingsAcknowledged(): void {
    this.#acknowledged = true;
  }

  ping(): void {
    this.#answered("PING");
  }

  /** Called by the sweep. */
  expire(now: number): void {
    this.deadline = now + LOOK;
    const { timeouts, end, close } = this.#options;
    if (now - this.#openedAt >= timeouts.requestHead) {
      if (!this.#prefaceSeen) return end(NGHTTP2_PROTOCOL_ERROR, "the preface did not come in time");
      // RFC 9113 section 6.5.3. Until then our limits are not in force.
      if (!this.#acknowledged)
        return end(NGHTTP2_SETTINGS_TIMEOUT, "our SETTINGS were not acknowledged in time");
    }
    const last = this.#options.lastStream();
    // The last one may be a head that is still on its way.
    this.#miss(last - 2);
    if (last <= this.#highest) this.#unfinished = -1;
    else if (last !== this.#unfinished) {
      this.#unfinished = last;
      this.#unfinishedSince = now;
    } else if (now - this.#unfinishedSince >= timeouts.requestHead) {
      // Nothing else can come before the head is complete (RFC 9113 section 4.3), so open streams are all there is.
      if (this.#open === 0)
        return end(NGHTTP2_ENHANCE_YOUR_CALM, "a request head did not come in time, or was refused");
      return close();
    }
    // PING does not count: a connection is for requests.
    if (this.#open === 0 && now - this.#idleSince >= timeouts.keepAlive) close();
  }

  /** Every stream up to `id` has had its chance: those that were not shown to us were refused, or left out. */
  #miss(id: number): void {
    if (id <= this.#missing) return;
    const missed = (id - this.#missing) / 2;
    this.#missing = id;
    this.#waste(missed);
  }

  #waste(streams: number): void {
    if (!this.#wasted.take(streams))
      this.#options.end(NGHTTP2_ENHANCE_YOUR_CALM, "too many streams that came to nothing");
  }

  #answered(frame: string): void {
    if (!this.#control.take(1)) this.#options.end(NGHTTP2_ENHANCE_YOUR_CALM, `a flood of ${frame} frames`);
  }
}

/** So many at once, and so many more in each second. */
class Allowance {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at = Date.now();

  constructor({ burst, perSecond }: { burst: number; perSecond: number }) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
  }

  /** False where it is used up. */
  take(count: number): boolean {
    const now = Date.now();
    this.#left =
      Math.min(this.#burst, this.#left + (Math.max(0, now - this.#at) / 1000) * this.#perSecond) - count;
    this.#at = now;
    return this.#left >= 0;
  }
}
