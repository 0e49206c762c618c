const DAY = 86_400_000;

/** The longest that a CA is taken at its word: Let's Encrypt's longest limit. */
const LONGEST = 7 * DAY;

export interface CaRefusal {
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Whether it is about these names; else about all that this account or this address wants. */
  readonly ownNames: boolean;
  /** What the CA said. */
  readonly detail: string;
}

/**
 * What a CA's 429 or 503 with Retry-After means for other orders; null for any other error.
 *
 * RFC 8555 has one error type, rateLimited, for all limits. One that names a name of the order or a domain above it, or
 * speaks of the exact set, is about these names (so are Let's Encrypt's: by set, by domain, by failed authorization);
 * any other is about the account, the address or the CA as a whole, and to ask for a thousand other names would get a
 * thousand times the same answer.
 */
export function refusalOf(error: unknown, names: readonly string[], now: number): CaRefusal | null {
  if (typeof error !== "object" || error === null) return null;
  const { status, retryAfter, detail, subproblems } = error as Record<string, unknown>;
  if ((status !== 429 && status !== 503) || typeof retryAfter !== "number" || retryAfter <= 0) return null;
  const said = typeof detail === "string" ? detail : "";
  const text = `${said} ${JSON.stringify(subproblems ?? [])}`.toLowerCase();
  const ownNames = /exact set|duplicate/.test(text) || names.some((name) => mentions(text, name));
  return { until: now + Math.min(retryAfter, LONGEST), ownNames, detail: said };
}

/** Whether the text has the name, or a domain above it that is no top-level domain, as a word. */
function mentions(text: string, name: string): boolean {
  const labels = name.replace(/^\*\./, "").split(".");
  const words = new Set(text.match(/[a-z0-9_-]+(?:\.[a-z0-9_-]+)+|[0-9a-f]*:[0-9a-f:]+/g));
  return labels.some((_, at) => {
    const above = labels.slice(at).join(".");
    return (at === 0 || at < labels.length - 1) && words.has(above);
  });
}
