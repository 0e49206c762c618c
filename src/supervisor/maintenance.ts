import { join } from "node:path";
import { DamagedFiles } from "../certificates/damaged.ts";
import { readIfThere, writeDurably } from "../certificates/durable-file.ts";
import { systemClock } from "../clock.ts";
import { parseAddressRange } from "../config/address-range.ts";
import type { Configuration, SiteConfiguration } from "../config/configuration.ts";
import { nearest } from "../config/nearest.ts";
import { PaddockError } from "../errors.ts";
import type { Maintenance } from "../handlers/maintenance.ts";
import type { Logger } from "../logging/logger.ts";

/** What `paddock maintenance` asks for. */
export interface MaintenanceRequest {
  readonly on: boolean;
  readonly site: string;
  readonly message: string | null;
  readonly allow: readonly string[];
}

/** Which sites are in maintenance: in a file of the storage, so that neither a reload nor a new start ends it. */
export class MaintenanceState {
  readonly #path: string;
  #sites: readonly Maintenance[];

  static async open(storage: string, log: Logger): Promise<MaintenanceState> {
    const path = join(storage, "maintenance.json");
    const text = await readIfThere(path);
    if (text === null) return new MaintenanceState(path, []);
    try {
      return new MaintenanceState(path, parse(text));
    } catch (error) {
      const damaged = new DamagedFiles({ storage, clock: systemClock, log });
      await damaged.setAside(path, error, "no site is in maintenance");
      return new MaintenanceState(path, []);
    }
  }

  private constructor(path: string, sites: readonly Maintenance[]) {
    this.#path = path;
    this.#sites = sites;
  }

  /** Null where the site is open. Any of its names counts, since their order may change. */
  of(site: SiteConfiguration): Maintenance | null {
    return this.#sites.find((one) => site.names.includes(one.site)) ?? null;
  }

  /** Once for each name of a site, as the workers look it up. */
  forWorkers(configuration: Configuration): Maintenance[] {
    return configuration.sites.flatMap((site) => {
      const found = this.of(site);
      return found === null ? [] : site.names.map((name) => ({ ...found, site: name }));
    });
  }

  /**
   * Resolves when it is on disk, with the site's first name and whether it was in maintenance before.
   *
   * @throws {PaddockError} where there is no such site.
   */
  async change(
    request: MaintenanceRequest,
    configuration: Configuration,
  ): Promise<{ readonly site: string; readonly before: boolean }> {
    const { on, message, allow } = request;
    const site = find(request.site, configuration);
    const known = this.of(site);
    const since = known?.since ?? systemClock.now();
    const [name] = site.names;
    const others = this.#sites.filter((one) => !site.names.includes(one.site));
    const sites = on ? [...others, { site: name, since, message, allow }] : others;
    await writeDurably(this.#path, `${JSON.stringify({ sites }, null, 1)}\n`);
    this.#sites = sites;
    return { site: name, before: known !== null };
  }
}

/** The order of the control socket, which is only for those who may open it, but not only for this version's command. */
export function maintenanceRequest(value: unknown): MaintenanceRequest {
  const { on, ...rest } = value as Record<string, unknown>;
  const [entry] = entries([{ since: 0, ...rest }]);
  if (typeof on !== "boolean" || entry === undefined) throw new TypeError("no order for maintenance");
  return { on, site: entry.site, message: entry.message, allow: entry.allow };
}

function find(name: string, { sites }: Configuration): SiteConfiguration {
  const wanted = name.toLowerCase();
  const site = sites.find(({ names }) => names.includes(wanted));
  if (site !== undefined) return site;
  const names = sites.flatMap((one) => one.names);
  const meant = nearest(wanted, names);
  throw new PaddockError("ERR_NO_SITE", `there is no site called ${name}`, {
    fix: meant === undefined ? `the names are ${names.join(", ")}` : `did you mean ${meant}?`,
  });
}

function parse(text: string): Maintenance[] {
  const document: unknown = JSON.parse(text);
  return entries((document as { sites?: unknown }).sites);
}

function entries(value: unknown): Maintenance[] {
  if (!Array.isArray(value)) throw new TypeError("no list of sites");
  return value.map((entry: unknown) => {
    const { site, since, message, allow } = (entry ?? {}) as Record<string, unknown>;
    const isRange = (text: unknown): text is string =>
      typeof text === "string" && parseAddressRange(text) !== undefined;
    if (
      typeof site !== "string" ||
      typeof since !== "number" ||
      !(message === null || typeof message === "string") ||
      !Array.isArray(allow) ||
      !allow.every(isRange)
    )
      throw new TypeError("an entry that is none");
    return { site, since, message, allow };
  });
}
