import { PaddockError } from "../errors.ts";

/**
 * A name that could not be proven, for a reason that lies with the site: a firewall, a record, a hook. Another order
 * fails in the same way until somebody mends it. `AcmeProblem` says so of itself by the same member.
 */
export class NotProven extends PaddockError {
  readonly unproven = true;
}

/** What CAs say of a site that cannot be reached, or must not be certified by them (RFC 8555 §6.7). */
const KINDS = ["caa", "connection", "dns", "incorrectResponse", "tls", "unauthorized"];

/** @param kinds of the problem and of its subproblems, without the URN's prefix. */
export function blamesSite(kinds: readonly (string | null)[], status: number | null): boolean {
  // With a status of its own, `unauthorized` is about the account (RFC 8555 §7.3.6).
  return kinds.some(
    (kind) => kind !== null && KINDS.includes(kind) && (kind !== "unauthorized" || status === null),
  );
}
