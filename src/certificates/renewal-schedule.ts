/** When to renew and when to try again: pure functions of time and a random number from 0 to below 1. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Below it half of the lifetime must be left: a third of six days is too little for a weekend. */
const SHORT_LIVED = 10 * DAY;

export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Without renewal information: with a third of the lifetime left, or a half for short-lived certificates; up to
 * a twentieth of the lifetime earlier, so that a fleet does not renew in the same minute.
 */
export function renewalTime({ notBefore, notAfter }: Validity, random: number): number {
  const lifetime = notAfter - notBefore;
  const left = lifetime < SHORT_LIVED ? lifetime / 2 : lifetime / 3;
  return Math.round(notAfter - left - (random * lifetime) / 20);
}

/**
 * With it: a random moment of the window (RFC 9773 §4.2). A window that reaches beyond the certificate's last
 * tenth is cut there, since a certificate that ends is worse than a wish that is not followed.
 */
export function timeInWindow(
  window: { start: number; end: number },
  validity: Validity,
  random: number,
): number {
  const last = validity.notAfter - (validity.notAfter - validity.notBefore) / 10;
  return Math.round(Math.min(window.start + random * (window.end - window.start), last));
}

/** No renewal sooner than this after the last one, whatever the window says: a CA's mistake must not make a loop. */
export function shortestInterval({ notBefore, notAfter }: Validity): number {
  return Math.min(DAY, (notAfter - notBefore) / 10);
}

const RETRIES = [MINUTE, 10 * MINUTE, 100 * MINUTE];

/**
 * The wait after the n-th failure in a row (n from 1): 1, 10, 100 minutes, then a day; up to a twentieth more.
 *
 * @param retryAfter what the CA asked for, milliseconds; longer than a week is not waited, since no CA has a limit that
 *   lasts longer, and a mistyped one must not end a site.
 */
export function retryDelay(failures: number, retryAfter: number | null, random: number): number {
  const delay = RETRIES[failures - 1] ?? DAY;
  return Math.round(Math.max(delay * (1 + random / 20), Math.min(retryAfter ?? 0, 7 * DAY)));
}

/** When to ask for renewal information again (RFC 9773 §4.3): as the CA says, within a minute and a day. */
export function renewalInfoDelay(retryAfter: number | null): number {
  return Math.min(Math.max(retryAfter ?? 6 * HOUR, MINUTE), DAY);
}
