import type { Configuration } from "../config/configuration.ts";
import { PaddockError } from "../errors.ts";

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

/** The first name, by which the workers know it, of the site that is called `name` and has a cache. */
export function cachedSite({ sites }: Configuration, name: string): string {
  const site = sites.find(({ names }) => names.includes(name.toLowerCase()));
  if (site === undefined)
    throw new PaddockError("ERR_NO_SITE", `there is no site called ${JSON.stringify(name)}`, {
      fix: "see paddock status for the names",
    });
  if (site.cache === null)
    throw new PaddockError("ERR_NO_CACHE", `${site.names[0]} has no cache`, {
      fix: "give the site a cache, or purge another one",
    });
  return site.names[0];
}
