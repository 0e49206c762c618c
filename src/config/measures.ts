/** Milliseconds per unit. A year is 365 days, as in HSTS practice. */
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  y: 365 * 86_400_000,
};

/** Bytes per unit. 1 KB is 1024 bytes, as nginx's `client_max_body_size` counts. */
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** The longest duration that makes sense anywhere, and keeps arithmetic on dates exact: a hundred years. */
const LONGEST = 100 * 365 * 86_400_000;

/** `10s 5m 12h 30d 1y 250ms` as milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  return parseMeasure(text, /^(\d{1,12})(ms|s|m|h|d|y)$/, DURATION_UNITS, LONGEST);
}

/** `16KB 100MB 1GB 512B` as bytes; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  return parseMeasure(text, /^(\d{1,12})(B|KB|MB|GB)$/, SIZE_UNITS, Number.MAX_SAFE_INTEGER);
}

/** `10/s 100/m 1000/h` as requests in so many milliseconds; undefined where the text is no rate. */
export function parseRate(text: string): { readonly requests: number; readonly per: number } | undefined {
  const [, digits = "", unit = ""] = /^(\d{1,6})\/(s|m|h)$/.exec(text) ?? [];
  const per = DURATION_UNITS[unit];
  return per === undefined || Number(digits) === 0 ? undefined : { requests: Number(digits), per };
}

function parseMeasure(
  text: string,
  pattern: RegExp,
  units: Readonly<Record<string, number>>,
  limit: number,
): number | undefined {
  const [, digits = "", unit = ""] = pattern.exec(text) ?? [];
  const factor = units[unit];
  if (factor === undefined) return undefined;
  const value = Number(digits) * factor;
  return value <= limit ? value : undefined;
}
