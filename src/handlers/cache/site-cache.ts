import type { Exchange } from "../../exchange/exchange.ts";
import type { ResponseHead } from "../../http1/response-head.ts";
import { respondWithError } from "../error-page.ts";
import { proxy, type ProxyOptions } from "../proxy.ts";
import { directivesOf, type Directives } from "./cache-control.ts";
import { cacheKey, invalidatedKeys } from "./cache-key.ts";
import { cacheStatus, type CacheOutcome, type ForwardReason } from "./cache-status.ts";
import { DetachedExchange } from "./detached-exchange.ts";
import { Fetch } from "./fetch.ts";
import type { KeepForm } from "./kept-forms.ts";
import { RecentKeys } from "./recent-keys.ts";
import { serveStored } from "./serving.ts";
import { CacheStore } from "./store.ts";
import { selectingFields, type StoredResponse } from "./stored-response.ts";

/** For so long requests for what could not be stored do not wait for one another, milliseconds. */
const PASS_TIME = 30_000;
const MOST_REMEMBERED = 4096;

/** RFC 9110 section 9.2.1. */
const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

export interface SiteCacheOptions {
  /** Bytes, in this worker. */
  readonly memory: number;
  readonly compress: boolean;
  readonly counted: (outcome: string) => void;
  /** A response that might have been stored, and was not. */
  readonly refused: (target: string, reason: string) => void;
  /** An unsafe request has made these keys invalid, in the other workers too. */
  readonly invalidated: (keys: readonly string[]) => void;
}

/** Somebody who waits for a fetch that another began. */
interface Waiting {
  readonly exchange: Exchange;
  readonly app: ProxyOptions;
}

interface Running {
  readonly fetch: Fetch;
  readonly waiting: Set<Waiting>;
  place: string;
  /** It began before a purge. */
  outdated: boolean;
}

/** The shared cache of one site in one worker (RFC 9111): who is answered from it, and who goes to the app for it. */
export class SiteCache {
  readonly #options: SiteCacheOptions;
  readonly #store: CacheStore;
  readonly #keep: KeepForm | null;
  /** By key and by what the request has in the fields that the last response depended on. */
  readonly #running = new Map<string, Running>();
  /** Until when requests pass each for itself, milliseconds since the epoch. */
  readonly #passing = new RecentKeys<number>(MOST_REMEMBERED);
  readonly #vary = new RecentKeys<readonly string[]>(MOST_REMEMBERED);

  constructor(options: SiteCacheOptions) {
    this.#options = options;
    const store = new CacheStore(options.memory);
    this.#store = store;
    this.#keep = options.compress ? (response, bytes) => store.grow(response, bytes) : null;
  }

  get bytes(): number {
    return this.#store.bytes;
  }

  /** Answers from the store, or by the app, whose options `app` are. */
  handle(exchange: Exchange, app: ProxyOptions): void {
    const { method, fields } = exchange;
    if (exchange.upgrade !== "") return proxy(exchange, app);
    if (method !== "GET" && method !== "HEAD") return this.#forwardOther(exchange, app);
    const asked = directivesOf(fields);
    const why = bypassReason(exchange, asked);
    if (why !== null) return this.#forward(exchange, app, "bypass", why);
    const key = cacheKey(exchange);
    const found = this.#store.find(key, exchange.appFields ?? fields);
    const personal = isPersonal(exchange);
    const now = Date.now();
    if (found !== null && (!personal || found.forEverybody)) {
      if (found.isFresh(now)) return this.#serve(exchange, app, found, "hit", { ttl: found.ttl(now) });
      if (found.maySpeakWhileRevalidating(now))
        return this.#serveWhileRevalidating(exchange, app, found, now);
    }
    // RFC 9111 section 5.2.1.7.
    if (asked.has("only-if-cached")) {
      exchange.failure = "not in the cache, and the client asked for nothing else (only-if-cached)";
      this.#options.counted("bypass");
      return respondWithError(exchange, 504);
    }
    const forward = found !== null ? "stale" : this.#store.has(key) ? "vary-miss" : "uri-miss";
    if (method === "HEAD") return this.#forward(exchange, app, forward, "HEAD is not stored");
    // To fetch the whole of a film for one part of it would be no favour to anybody.
    if (fields.some((name, index) => index % 2 === 0 && name === "range"))
      return this.#forward(exchange, app, forward, "a range is not stored");
    const place = this.#place(key, exchange);
    if ((this.#passing.get(place) ?? 0) > now)
      return this.#forward(exchange, app, forward, "could not be stored a moment ago");
    if (personal) return this.#fetch(exchange, app, key, "", null, forward);
    const running = this.#running.get(place);
    if (running !== undefined) return this.#wait(running, exchange, app);
    this.#options.counted("miss");
    this.#fetch(exchange, app, key, place, found, forward);
  }

  /** What matches is gone, and so is what is under way for it, when this returns. */
  purge(matches: (key: string) => boolean): void {
    this.#store.removeWhere(matches);
    for (const running of this.#running.values())
      if (matches(running.fetch.options.key)) this.#outdate(running);
  }

  #serve(
    exchange: Exchange,
    app: ProxyOptions,
    response: StoredResponse,
    counted: string,
    outcome: CacheOutcome,
  ): void {
    this.#options.counted(counted);
    serveStored(exchange, response, app, outcome, this.#keep);
  }

  /** RFC 5861 section 3: at once, and one request of the cache's own asks for a newer one. */
  #serveWhileRevalidating(exchange: Exchange, app: ProxyOptions, stale: StoredResponse, now: number): void {
    const place = this.#place(stale.key, exchange);
    if (!isPersonal(exchange) && !this.#running.has(place))
      this.#fetch(new DetachedExchange(exchange), app, stale.key, place, stale, "stale");
    this.#serve(exchange, app, stale, "stale", { ttl: stale.ttl(now) });
  }

  /** As if there were no cache. */
  #forward(exchange: Exchange, app: ProxyOptions, forward: ForwardReason, detail: string): void {
    this.#options.counted("bypass");
    proxy(exchange, { ...app, filter: withStatus(app, { forward, detail }) });
  }

  #forwardOther(exchange: Exchange, app: ProxyOptions): void {
    this.#options.counted("bypass");
    const filter = withStatus(app, { forward: "method" });
    if (SAFE.has(exchange.method)) return proxy(exchange, { ...app, filter });
    const arrived = (head: ResponseHead): void => {
      // RFC 9111 section 4.4: after a response that is no error.
      if (head.status >= 400) return;
      const keys = new Set(invalidatedKeys(exchange, head.fields));
      this.purge((key) => keys.has(key));
      this.#options.invalidated([...keys]);
    };
    proxy(exchange, { ...app, filter, arrived });
  }

  #wait(running: Running, exchange: Exchange, app: ProxyOptions): void {
    const waiting = { exchange, app };
    running.waiting.add(waiting);
    exchange.handler = "cache";
    exchange.onClose = () => {
      exchange.failure ||= "the client went away while another request for the same page was at the app";
      running.waiting.delete(waiting);
    };
  }

  /** An empty `place`: nobody can wait for it. */
  #fetch(
    leader: Exchange,
    app: ProxyOptions,
    key: string,
    place: string,
    base: StoredResponse | null,
    forward: ForwardReason,
  ): void {
    const { compress } = this.#options;
    const personal = isPersonal(leader);
    const options = { key, app, base, forward, personal, compress, largest: this.#store.largest };
    const detached = leader instanceof DetachedExchange;
    const fetch: Fetch = new Fetch(leader, options, {
      varies: (vary) => {
        this.#vary.set(key, vary);
        if (place !== "") this.#move(running, vary);
      },
      fetched: (response, status) => {
        const waiting = this.#close(running);
        if (!running.outdated) this.#store.add(response);
        const ttl = response.ttl(Date.now());
        if (status === 304 && !detached)
          this.#serve(leader, app, response, "revalidated", { forward, forwardStatus: 304, ttl });
        for (const one of waiting)
          this.#serve(one.exchange, one.app, response, "collapsed", { forward, ttl, collapsed: true });
      },
      notStorable: (reason, keep) => {
        const waiting = this.#close(running);
        if (!keep && base !== null) this.#store.remove(base);
        if (!keep && place !== "") this.#passing.set(running.place, Date.now() + PASS_TIME);
        this.#options.refused(leader.target, reason);
        for (const one of waiting) this.#forward(one.exchange, one.app, forward, reason);
      },
      failed: (status, stale) => {
        const waiting = this.#close(running);
        if (stale === null) {
          for (const one of waiting)
            this.#forward(one.exchange, one.app, forward, "the first request failed");
          return;
        }
        const clients = detached ? waiting : [{ exchange: leader, app }, ...waiting];
        const outcome = {
          forward,
          forwardStatus: status,
          ttl: stale.ttl(Date.now()),
          detail: "stale-if-error",
        };
        for (const one of clients) this.#serve(one.exchange, one.app, stale, "stale", outcome);
      },
      mismatched: () => {
        const waiting = this.#close(running);
        if (base !== null) this.#store.remove(base);
        // The next try has nothing to ask after, and so cannot come here again.
        leader.appFields = null;
        if (!detached) this.handle(leader, app);
        for (const one of waiting) this.handle(one.exchange, one.app);
      },
      left: () => {
        for (const one of this.#close(running)) this.handle(one.exchange, one.app);
      },
    });
    const running: Running = { fetch, waiting: new Set(), place, outdated: false };
    if (place !== "") this.#running.set(place, running);
    fetch.start();
  }

  /** The head told what the response depends on: those who wait and differ in it go for one of their own. */
  #move(running: Running, vary: readonly string[]): void {
    const { key } = running.fetch.options;
    const { requestFields } = running.fetch;
    if (this.#running.get(running.place) === running) this.#running.delete(running.place);
    running.place = placeOf(key, vary, requestFields);
    if (!running.outdated && !this.#running.has(running.place)) this.#running.set(running.place, running);
    for (const one of running.waiting) {
      if (placeOf(key, vary, one.exchange.appFields ?? one.exchange.fields) === running.place) continue;
      running.waiting.delete(one);
      one.exchange.onClose = null;
      this.handle(one.exchange, one.app);
    }
  }

  /** Those who waited for it; nobody can any more. */
  #close(running: Running): Waiting[] {
    if (this.#running.get(running.place) === running) this.#running.delete(running.place);
    const waiting = [...running.waiting];
    running.waiting.clear();
    for (const { exchange } of waiting) exchange.onClose = null;
    return waiting;
  }

  #outdate(running: Running): void {
    running.outdated = true;
    this.#running.delete(running.place);
  }

  #place(key: string, exchange: Exchange): string {
    return placeOf(key, this.#vary.get(key) ?? [], exchange.appFields ?? exchange.fields);
  }
}

function placeOf(key: string, vary: readonly string[], fields: readonly string[]): string {
  return vary.length === 0 ? key : [key, ...selectingFields(vary, fields)].join("\n");
}

/** The client showed who it is, or another server told (handlers/protection): the answer may be for it alone. */
function isPersonal(exchange: Exchange): boolean {
  if (exchange.appFields !== null) return true;
  return exchange.fields.some((name, index) => index % 2 === 0 && name === "authorization");
}

/**
 * Requests that the cache has nothing to do with. The client's no-cache and max-age are advice (RFC 9111 section
 * 5.2.1) and not taken, as in nginx: a reload button, or somebody who means harm, must not make the app work.
 */
function bypassReason(exchange: Exchange, asked: Directives): string | null {
  if (asked.has("no-store")) return "no-store";
  if (exchange.bodyLength !== 0) return "the request has a body";
  for (let index = 0; index < exchange.fields.length; index += 2)
    if (exchange.fields[index] === "if-match" || exchange.fields[index] === "if-unmodified-since")
      return "a condition for the app";
  return null;
}

function withStatus(app: ProxyOptions, outcome: CacheOutcome): ProxyOptions["filter"] {
  return (exchange, status, fields, length, next) => {
    fields.push("cache-status", cacheStatus(outcome));
    return app.filter(exchange, status, fields, length, next);
  };
}
