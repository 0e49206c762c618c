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

/** What is left for an outage of the CA over a long weekend. */
const OUTAGE = 4 * DAY;

/**
 * With it: a random moment of the window (RFC 9773 §4.2). A window that reaches beyond the certificate's last tenth, or
 * to where an outage of four days would end it, is cut there, but not before half of its life: a certificate that ends
 * is worse than a wish that is not followed.
 */
export function timeInWindow(
  window: { start: number; end: number },
  validity: Validity,
  random: number,
): number {
  const lifetime = validity.notAfter - validity.notBefore;
  const last = validity.notAfter - Math.max(lifetime / 10, Math.min(OUTAGE, lifetime / 2));
  return Math.round(Math.min(window.start + random * (window.end - window.start), last));
}

/** No renewal sooner than this after the last one, whatever the window says: a CA's mistake must not make a loop. */
export function shortestInterval({ notBefore, notAfter }: Validity): number {
  return Math.min(DAY, (notAfter - notBefore) / 10);
}

const RETRIES = [MINUTE, 10 * MINUTE, 100 * MINUTE];

/**
 * The wait after the n-th failure in a row (n from 1): 1, 10, 100 minutes, then a day; up to a twentieth more. Near the
 * end of the certificate in use the attempts are closer, hourly at the closest: with days between them, a CA that comes
 * back in time would not be asked in time.
 *
 * @param retryAfter what the CA asked for, milliseconds; longer than a week is not waited, since no CA has a limit that
 *   lasts longer, and a mistyped one must not end a site.
 * @param left milliseconds to the end of the certificate in use, or since it, negative; infinite without one. A quarter
 *   of it is the longest wait, and half of it where the CA asks for more.
 */
export function retryDelay(
  failures: number,
  retryAfter: number | null,
  random: number,
  left: number,
): number {
  const within = (delay: number, share: number, most: number): number =>
    Math.min(delay, most, Math.max(Math.abs(left) * share, HOUR));
  const delay = within(RETRIES[failures - 1] ?? DAY, 1 / 4, DAY) * (1 + random / 20);
  return Math.round(Math.max(delay, within(retryAfter ?? 0, 1 / 2, 7 * DAY)));
}

/** When to ask for renewal information again (RFC 9773 §4.3): as the CA says, within a minute and a day. */
export function renewalInfoDelay(retryAfter: number | null): number {
  return Math.min(Math.max(retryAfter ?? 6 * HOUR, MINUTE), DAY);
}
