import { BlockList } from "node:net";
import { parseAddressRange } from "../config/address-range.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { respondWithNotice } from "./error-page.ts";

/** A site that an operator has closed for a while. */
export interface Maintenance {
  /** One of the site's names. */
  readonly site: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** For the visitors; null for the sentence that the page has by itself. */
  readonly message: string | null;
  /** Addresses and CIDRs that get through. */
  readonly allow: readonly string[];
}

/** Seconds after which a client, a search engine above all, may look again. */
const RETRY_AFTER = "300";

const SENTENCE = "It will be back soon. Please try again in a few minutes.";

/** The sites in maintenance by name, made once for each change. */
export class MaintenanceTable {
  readonly #sites = new Map<string, { readonly message: string | null; readonly allowed: BlockList }>();

  constructor(sites: readonly Maintenance[] = []) {
    for (const { site, message, allow } of sites) {
      const allowed = new BlockList();
      for (const text of allow) {
        const range = parseAddressRange(text);
        if (range !== undefined) allowed.addSubnet(range.address, range.bits, range.family);
      }
      this.#sites.set(site, { message, allowed });
    }
  }

  /**
   * False where the site is open to this client. The static files are closed too: a site that consists of them is one
   * like others, and the page needs none. What has begun, a WebSocket above all, goes on.
   */
  answer(exchange: Exchange, site: string): boolean {
    if (this.#sites.size === 0) return false;
    const found = this.#sites.get(site);
    if (found === undefined) return false;
    const { clientAddress } = exchange;
    if (found.allowed.check(clientAddress, clientAddress.includes(":") ? "ipv6" : "ipv4")) return false;
    exchange.handler = "maintenance";
    respondWithNotice(exchange, {
      status: 503,
      heading: "We are working on this site",
      sentence: found.message ?? SENTENCE,
      kind: "maintenance",
      pages: ["maintenance", "503", "5xx"],
      extra: ["retry-after", RETRY_AFTER],
    });
    return true;
  }
}
