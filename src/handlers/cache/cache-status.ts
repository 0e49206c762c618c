/** Why a request went to the app (RFC 9211 section 2.2). */
export type ForwardReason = "bypass" | "method" | "uri-miss" | "vary-miss" | "stale";

/** What Paddock's cache did with one request (RFC 9211). */
export interface CacheOutcome {
  /** Absent for a hit. */
  readonly forward?: ForwardReason;
  /** The app's status, where the client gets another. */
  readonly forwardStatus?: number;
  /** Seconds. */
  readonly ttl?: number;
  readonly stored?: boolean;
  readonly collapsed?: boolean;
  /** For people; ASCII without quotes and backslashes. */
  readonly detail?: string;
}

export function cacheStatus(outcome: CacheOutcome): string {
  let text = outcome.forward === undefined ? "paddock; hit" : `paddock; fwd=${outcome.forward}`;
  if (outcome.forwardStatus !== undefined) text += `; fwd-status=${outcome.forwardStatus}`;
  if (outcome.ttl !== undefined) text += `; ttl=${outcome.ttl}`;
  if (outcome.stored === true) text += "; stored";
  if (outcome.collapsed === true) text += "; collapsed";
  if (outcome.detail !== undefined) text += `; detail="${outcome.detail}"`;
  return text;
}
