/** An order of `paddock purge`. */
export interface PurgeRequest {
  /** A name of the site. */
  readonly site: string;
  /** Path and query, or with `*` at its end all that begins so; null for everything. */
  readonly pattern: string | null;
}

/** Checks what came over the control socket. */
export function purgeRequest(value: unknown): PurgeRequest {
  const { site, pattern = null } = (value ?? {}) as Record<string, unknown>;
  if (typeof site !== "string" || (pattern !== null && typeof pattern !== "string"))
    throw new TypeError("no order for a purge");
  return { site, pattern };
}
