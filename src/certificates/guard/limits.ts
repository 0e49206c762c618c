import { isLocalName } from "../../config/local-names.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A token bucket: full it lets `count` through at once, and it fills up in `window` milliseconds. */
export interface Limit {
  readonly count: number;
  readonly window: number;
}

/** What a CA refuses beyond; null where it sets no limit that we know. */
export interface CaLimits {
  /** Certificates for exactly one set of names. */
  readonly exactSet: Limit | null;
  /** New certificates for names below one registered domain. */
  readonly registeredDomain: Limit | null;
  /** New orders of one account. */
  readonly newOrders: Limit | null;
  /** Failed authorizations of one name. */
  readonly failedAuthorizations: Limit | null;
}

const NONE: CaLimits = {
  exactSet: null,
  registeredDomain: null,
  newOrders: null,
  failedAuthorizations: null,
};

const FAILED_AUTHORIZATIONS: Limit = { count: 5, window: HOUR };

/** https://letsencrypt.org/docs/rate-limits/, as of 2026. */
const LETSENCRYPT: CaLimits = {
  exactSet: { count: 5, window: 7 * DAY },
  registeredDomain: { count: 50, window: 7 * DAY },
  newOrders: { count: 300, window: 3 * HOUR },
  failedAuthorizations: FAILED_AUTHORIZATIONS,
};

/** Of Let's Encrypt and of Google: certificates that nobody trusts, with limits that nobody reaches. */
const STAGING_HOSTS = ["acme-staging-v02.api.letsencrypt.org", "dv.acme-v02.test-api.pki.goog"];

/** Whether certificates of this directory are for the public: neither a rehearsal's nor a CA's of one's own network. */
export function isProduction(directory: string): boolean {
  const host = hostOf(directory);
  return host !== null && !STAGING_HOSTS.includes(host) && !isPrivateCa(directory);
}

/** Whether the directory is on this machine or in a network of one's own. */
export function isPrivateCa(directory: string): boolean {
  const host = hostOf(directory);
  return host === null || isLocalName(host);
}

/**
 * The limits of a CA. Other public CAs than Let's Encrypt do not publish theirs as numbers; not to fail there more
 * often than at Let's Encrypt is a courtesy. A CA on a private address is its operator's business.
 */
export function limitsOf(directory: string): CaLimits {
  if (!isProduction(directory)) return NONE;
  if (hostOf(directory) === "acme-v02.api.letsencrypt.org") return LETSENCRYPT;
  return { ...NONE, failedAuthorizations: FAILED_AUTHORIZATIONS };
}

/**
 * The moment from which the bucket lets one more through, given when it was taken from: at or before `now` where it
 * does so now. Let's Encrypt counts in this way (generic cell rate algorithm), and so what it gives back a piece at a
 * time is used a piece at a time, where a sliding window would wait for a week. What lies in the future was written by
 * a clock that was wrong.
 */
export function nextAdmission(times: readonly number[], { count, window }: Limit, now: number): number {
  const piece = window / count;
  let fullAt = -Infinity;
  for (const time of times.toSorted((a, b) => a - b))
    if (time <= now) fullAt = Math.max(fullAt, time) + piece;
  return Math.ceil(fullAt + piece - window);
}

function hostOf(directory: string): string | null {
  return URL.canParse(directory) ? new URL(directory).hostname.replace(/^\[|\]$/g, "") : null;
}
