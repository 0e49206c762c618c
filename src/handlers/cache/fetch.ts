import type { Exchange } from "../../exchange/exchange.ts";
import type { ResponseFilter, ResponseWriter } from "../../exchange/response-filter.ts";
import { fieldValue } from "../../http1/fields.ts";
import type { ResponseHead } from "../../http1/response-head.ts";
import { endToEndFields } from "../forwarded-fields.ts";
import { changeAppFields } from "../protection/app-fields.ts";
import { proxy, type ProxyOptions } from "../proxy.ts";
import { cacheStatus, type CacheOutcome, type ForwardReason } from "./cache-status.ts";
import { Capture } from "./capture.ts";
import { mayBeHtml, secretIn, storability, type Storability } from "./storability.ts";
import { selectingFields, StoredResponse, type StorableTerms } from "./stored-response.ts";

/** RFC 5861 section 4: what counts as an error. */
const ERRORS = new Set([500, 502, 503, 504]);

/** The client's own conditions and ranges: the whole response is wanted. */
const CONDITIONS = ["if-none-match", "if-modified-since", "if-range", "range"];

export interface FetchOptions {
  readonly key: string;
  readonly app: ProxyOptions;
  /** The stale response that is asked after; null for none. */
  readonly base: StoredResponse | null;
  readonly forward: ForwardReason;
  /** The request had a password, or another server told the app who asks. */
  readonly personal: boolean;
  /** The app does not see Accept-Encoding; Paddock compresses itself. */
  readonly compress: boolean;
  /** Bytes. */
  readonly largest: number;
}

/** Exactly one of the last five is called, once, unless `larger` follows `mayBeStored`. */
export interface FetchEvents {
  /** The head is there: the response depends on these request fields. */
  varies(vary: readonly string[]): void;
  /** `response` is whole; `status` is what the app said, 304 where it still holds. */
  fetched(response: StoredResponse, status: number): void;
  /** It may not be stored; `keep`: neither does it say anything about the next one. */
  notStorable(reason: string, keep: boolean): void;
  /** No answer, or an error; `stale` may be used in its place. */
  failed(status: number, stale: StoredResponse | null): void;
  /** A 304 that is about another response than the stored one. */
  mismatched(): void;
  /** The client has gone before the head came. */
  left(): void;
}

type Plan =
  | { readonly kind: "store"; readonly terms: StorableTerms; readonly fields: readonly string[] }
  | { readonly kind: "pass"; readonly reason: string }
  /** What comes is not for the client. */
  | { readonly kind: "swallow"; readonly done: () => void };

/** One request to the app whose response may be stored. The client who came first carries it, or nobody does. */
export class Fetch {
  readonly leader: Exchange;
  readonly options: FetchOptions;
  /** What the request had before the cache changed it. */
  readonly requestFields: readonly string[];
  readonly #events: FetchEvents;
  readonly #at = Date.now();
  #plan: Plan = { kind: "pass", reason: "" };
  #over = false;

  constructor(leader: Exchange, options: FetchOptions, events: FetchEvents) {
    this.leader = leader;
    this.options = options;
    this.requestFields = leader.appFields ?? leader.fields;
    this.#events = events;
  }

  start(): void {
    const { leader } = this;
    const { app, base, compress } = this.options;
    const dropped = compress ? [...CONDITIONS, "accept-encoding"] : CONDITIONS;
    changeAppFields(leader, dropped, base === null ? [] : base.validators());
    proxy(leader, {
      ...app,
      arrived: (head) => this.#arrived(head),
      filter: (...response) => this.#respond(...response),
      rescue: (status) => this.#rescued(status),
    });
    const giveUp = leader.onClose;
    if (giveUp === null) return;
    leader.onClose = () => {
      giveUp();
      this.#end(() => this.#events.left());
    };
  }

  /** The names that the response varies by, as far as they matter: without what the app never sees. */
  varyNames(vary: readonly string[]): readonly string[] {
    return this.options.compress ? vary.filter((name) => name !== "accept-encoding") : vary;
  }

  #arrived(head: ResponseHead): void {
    const { base } = this.options;
    const now = Date.now();
    const fields = endToEndFields(head.fields);
    if (base !== null && head.status === 304) {
      this.#plan = { kind: "swallow", done: this.#validated(base, fields, head.fields, now) };
    } else if (base !== null && ERRORS.has(head.status) && base.maySpeakIfError(now)) {
      this.#plan = { kind: "swallow", done: () => this.#serveStale(head.status, base) };
    } else {
      this.#plan = this.#planFor(head, fields, now);
    }
  }

  #planFor(head: ResponseHead, fields: readonly string[], now: number): Plan {
    const judged = this.#judge(head.status, head.fields, now);
    const reason = !judged.stored
      ? judged.reason
      : head.bodyLength === -2
        ? "no length"
        : head.bodyLength > this.options.largest
          ? "too large"
          : null;
    this.#events.varies(this.varyNames(varyOf(head.fields)));
    if (judged.stored && reason === null) return { kind: "store", terms: judged, fields };
    this.#end(() => this.#events.notStorable(reason ?? "", head.status >= 500));
    return { kind: "pass", reason: reason ?? "" };
  }

  #judge(status: number, fields: readonly string[], now: number): Storability {
    return storability({ personal: this.options.personal, at: this.#at }, status, fields, now);
  }

  /** RFC 9111 section 4.3.3 and 4.3.4. */
  #validated(
    base: StoredResponse,
    fields: readonly string[],
    raw: readonly string[],
    now: number,
  ): () => void {
    if (!base.isMeantBy(fields)) return () => this.#end(() => this.#events.mismatched());
    const accel = fieldValue(raw, "x-accel-expires");
    const refreshed = base.refreshedFields(fields);
    const judged = this.#judge(
      base.status,
      accel === undefined ? refreshed : [...refreshed, "x-accel-expires", accel],
      now,
    );
    // What may not be stored any more is not given to anybody: it is asked for anew.
    if (!judged.stored) return () => this.#end(() => this.#events.mismatched());
    const head = { status: base.status, fields: refreshed };
    return () => this.#end(() => this.#events.fetched(this.#make(head, base.body, judged), 304));
  }

  #make(
    head: { readonly status: number; readonly fields: readonly string[] },
    body: Buffer,
    terms: StorableTerms,
  ): StoredResponse {
    const selecting = selectingFields(this.varyNames(terms.vary), this.requestFields);
    return new StoredResponse(this.options.key, head, body, terms, selecting, Date.now());
  }

  #respond(...[exchange, status, fields, length, next]: Parameters<ResponseFilter>): ResponseWriter {
    const plan = this.#plan;
    const { app, forward, largest } = this.options;
    switch (plan.kind) {
      case "swallow":
        return new Swallowed(plan.done);
      case "pass":
        fields.push("cache-status", cacheStatus({ forward, detail: plan.reason }));
        return app.filter(exchange, status, fields, length, next);
      case "store": {
        const hold = mayBeHtml(plan.fields);
        return new Capture(
          exchange,
          { largest, hold, outcome: { forward, stored: true }, filter: app.filter },
          {
            whole: (body) => this.#whole(plan, status, body),
            tooLarge: () => this.#refused("too large"),
            broken: () => this.#end(() => this.#events.failed(502, null)),
          },
        );
      }
    }
  }

  #whole(plan: Extract<Plan, { kind: "store" }>, status: number, body: Buffer): CacheOutcome {
    const secret = secretIn(plan.fields, body);
    if (secret !== null) return this.#refused(secret);
    const response = this.#make({ status, fields: plan.fields }, body, plan.terms);
    this.#end(() => this.#events.fetched(response, status));
    return { forward: this.options.forward, stored: true };
  }

  #refused(reason: string): CacheOutcome {
    this.#end(() => this.#events.notStorable(reason, false));
    return { forward: this.options.forward, detail: reason };
  }

  /** The app did not answer; true where somebody else has answered in its place. */
  #rescued(status: number): boolean {
    if (this.#over) return false;
    const { base } = this.options;
    const stale = ERRORS.has(status) && base?.maySpeakIfError(Date.now()) === true ? base : null;
    this.#end(() => this.#events.failed(status, stale));
    return stale !== null;
  }

  #serveStale(status: number, base: StoredResponse): void {
    this.#end(() => this.#events.failed(status, base));
  }

  #end(tell: () => void): void {
    if (this.#over) return;
    this.#over = true;
    tell();
  }
}

function varyOf(fields: readonly string[]): string[] {
  const names: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== "vary") continue;
    for (const item of (fields[index + 1] as string).split(",")) names.push(item.trim().toLowerCase());
  }
  return names.filter((name) => name !== "" && name !== "*");
}

/** Takes a response that nobody gets. */
class Swallowed implements ResponseWriter {
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null = null;
  readonly #done: () => void;

  constructor(done: () => void) {
    this.#done = done;
  }

  begin(): void {
    // The client gets another head.
  }

  write(): boolean {
    return true;
  }

  finish(): void {
    this.#done();
  }

  abort(): void {
    this.#done();
  }
}
