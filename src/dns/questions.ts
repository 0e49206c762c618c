import { Resolver } from "node:dns/promises";
import { PaddockError, systemErrorCode } from "../errors.ts";

/** The name has no such record, or there is no such name. */
const ABSENT: readonly (string | undefined)[] = ["ENODATA", "ENOTFOUND"];

/** A CAA record as Node gives it: the critical flag and one property by its tag (RFC 8659 section 4.1). */
export type CaaRecord = Readonly<Record<string, unknown>> & { readonly critical: number };

/** Queries to some name servers. Names are given and returned without the final dot. */
export class Questions {
  readonly #resolver: Resolver;
  readonly #servers: readonly string[] | null;
  readonly #signal: AbortSignal;

  /**
   * @param servers `ADDRESS` or `ADDRESS:PORT`, IPv6 in brackets where a port follows; null for those of the system.
   * @param patience for one try, milliseconds.
   */
  constructor(
    servers: readonly string[] | null,
    signal: AbortSignal,
    { patience = 3000, tries = 2 }: { patience?: number; tries?: number } = {},
  ) {
    this.#resolver = new Resolver({ timeout: patience, tries });
    if (servers !== null) this.#resolver.setServers(servers);
    this.#servers = servers;
    this.#signal = signal;
  }

  /** Null where the name is no alias. */
  async alias(name: string): Promise<string | null> {
    const targets = await this.#ask("CNAME", name, () => this.#resolver.resolveCname(name));
    return targets?.[0] ?? null;
  }

  /** The primary name server, where `name` is the top of a zone; else null. */
  async startOfAuthority(name: string): Promise<string | null> {
    const record = await this.#ask("SOA", name, () => this.#resolver.resolveSoa(name));
    return record?.nsname ?? null;
  }

  async nameServers(zone: string): Promise<readonly string[]> {
    return (await this.#ask("NS", zone, () => this.#resolver.resolveNs(zone))) ?? [];
  }

  /** Both families; empty where there are none. */
  async addresses(name: string): Promise<readonly string[]> {
    const [ipv4, ipv6] = await Promise.all([
      this.#ask("A", name, () => this.#resolver.resolve4(name)),
      this.#ask("AAAA", name, () => this.#resolver.resolve6(name)),
    ]);
    return [...(ipv4 ?? []), ...(ipv6 ?? [])];
  }

  /** CAA records (RFC 8659); empty where there are none. */
  async authorizedCas(name: string): Promise<readonly CaaRecord[]> {
    const records = await this.#ask("CAA", name, () => this.#resolver.resolveCaa(name));
    return (records ?? []) as unknown as readonly CaaRecord[];
  }

  /** RFC 7208 section 3.3 and RFC 8555 section 8.4: the strings of one record are one text. */
  async texts(name: string): Promise<readonly string[]> {
    const records = await this.#ask("TXT", name, () => this.#resolver.resolveTxt(name));
    return (records ?? []).map((parts) => parts.join(""));
  }

  /** Null where there is no such record. */
  async #ask<T>(type: string, name: string, query: () => Promise<T>): Promise<T | null> {
    this.#signal.throwIfAborted();
    const cancel = (): void => this.#resolver.cancel();
    this.#signal.addEventListener("abort", cancel, { once: true });
    try {
      return await query();
    } catch (cause) {
      this.#signal.throwIfAborted();
      const code = systemErrorCode(cause);
      if (ABSENT.includes(code)) return null;
      const who = this.#servers === null ? "the system's name servers" : this.#servers.join(", ");
      throw new PaddockError("dns.no-answer", `${who}: no answer about ${type} of ${name} (${code ?? "?"})`, {
        fix: "Check that Paddock may ask them (port 53, UDP and TCP), or name others in dns.resolvers.",
        cause,
      });
    } finally {
      this.#signal.removeEventListener("abort", cancel);
    }
  }
}
