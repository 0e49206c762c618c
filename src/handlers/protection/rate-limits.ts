import type { RateLimitConfiguration, Sourced } from "../../config/configuration.ts";
import { requestKey } from "./client-key.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** Keys of one rule in one report; a flood from more addresses than these is not one that a rate limit ends. */
const MOST_REPORTED = 4096;

/** What workers tell each other: rule to key to requests let through. */
export type PassedRequests = Readonly<Record<string, Readonly<Record<string, number>>>>;

interface Limit {
  readonly buckets: TokenBuckets;
  readonly configuration: string;
  /** Let through since the last report; null where there is no other worker to tell. */
  readonly passed: Map<string, number> | null;
}

/**
 * The rate limits of one worker. A limit holds for all workers together, though connections are spread over them:
 *
 * - To divide it by the number of workers would be wrong: a client with one connection, which a browser is, has one
 *   worker for all that it asks and would get a part of what it is due.
 * - To give each worker the whole of it would let a client with many connections through as many times.
 * - To ask the supervisor at each request would put a process switch or two before every answer, and the supervisor
 *   into the data's way. Workers share no memory: SharedArrayBuffer does not leave a process.
 *
 * So each worker decides by itself, at once, by the whole limit, and ten times a second they tell each other, by way
 * of the supervisor, what they let through. That is charged to the same key's bucket, also where it makes a debt. In
 * the long run the rate is exact; what can come on top is one burst per further worker, once, and is then paid back.
 */
export class RateLimits {
  #limits = new Map<string, Limit>();
  #before = new Map<string, Limit>();
  #tells = false;

  /** A configuration follows, whose rules are asked for next; what it leaves as it was keeps its buckets. */
  begin(workers: number): void {
    this.#before = this.#limits;
    this.#limits = new Map();
    this.#tells = workers > 1;
  }

  rule(site: string, { from, value }: Sourced<RateLimitConfiguration>): Rule {
    const { buckets, passed } = this.#limit(`${site} ${from}`, value);
    const name = ruleName("rateLimit", from);
    const what = value.header === null ? "address" : `value of ${value.header}`;
    const reason = `more than ${value.written} from this ${what}, and a burst of ${value.burst}: ${name}`;
    return (exchange, pass) => {
      const key = requestKey(exchange, value.header);
      const wait = buckets.take(key, performance.now());
      if (wait > 0) {
        refuse(exchange, 429, reason, ["retry-after", String(Math.ceil(wait / 1000))]);
        return;
      }
      if (passed !== null && (passed.size < MOST_REPORTED || passed.has(key)))
        passed.set(key, (passed.get(key) ?? 0) + 1);
      pass();
    };
  }

  /** What has been let through since the last call; null where it is nothing. */
  report(): PassedRequests | null {
    let report: Record<string, Record<string, number>> | null = null;
    for (const [id, { passed }] of this.#limits) {
      if (passed === null || passed.size === 0) continue;
      report ??= {};
      report[id] = Object.fromEntries(passed);
      passed.clear();
    }
    return report;
  }

  /** What another worker has let through. */
  charge(report: PassedRequests, now = performance.now()): void {
    for (const [id, keys] of Object.entries(report)) {
      const buckets = this.#limits.get(id)?.buckets;
      for (const [key, requests] of Object.entries(keys)) buckets?.charge(key, requests, now);
    }
  }

  #limit(id: string, value: RateLimitConfiguration): Limit {
    const known = this.#limits.get(id);
    if (known !== undefined) return known;
    const configuration = JSON.stringify(value);
    const before = this.#before.get(id);
    const limit: Limit = {
      buckets: before?.configuration === configuration ? before.buckets : new TokenBuckets(value),
      configuration,
      passed: this.#tells ? new Map() : null,
    };
    this.#limits.set(id, limit);
    return limit;
  }
}
