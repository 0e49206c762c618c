import { join } from "node:path";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { DamagedFiles } from "../damaged.ts";
import { fileNameFor, fileNameForSet } from "../file-name.ts";
import type { IssuanceStep, Issuer } from "../issuer.ts";
import { journalText, problemIn } from "../journal-text.ts";
import { moment } from "../sentences.ts";
import { refusalOf } from "./ca-refusal.ts";
import { HeldBack } from "./held-back.ts";
import { storageDoubt, type StorageDoubt } from "./kept-storage.ts";
import { Ledger } from "./ledger.ts";
import { isProduction, limitsOf, nextAdmission, type CaLimits, type Limit } from "./limits.ts";
import { registeredDomain } from "./registered-domain.ts";

/** What is to be ordered. */
export interface OrderIntent {
  readonly names: readonly string[];
  /** The issuer made a certificate for exactly these names before. */
  readonly renewal: boolean;
  /**
   * The issuer counts it towards no limit: it asked for this renewal (ARI, RFC 9773), or it has taken the order already.
   */
  readonly unlimited: boolean;
}

/** An order that was let through. One of `issued` and `failed` MUST be called once it has ended. */
export interface Admission {
  observe(step: IssuanceStep): void;
  issued(): void;
  failed(error: unknown): void;
}

export interface GuardOptions {
  readonly storage: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly damaged: DamagedFiles;
  /** For tests: what is true of a directory and of a storage. */
  readonly limitsOf?: (directory: string) => CaLimits;
  readonly storageDoubt?: (storage: string) => Promise<StorageDoubt>;
}

/** An order under way, which counts before the CA has said so. */
interface UnderWay {
  readonly at: number;
  readonly domains: readonly string[];
  created: boolean;
}

const HOUR = 3_600_000;

const AT_ALL_COSTS = "`paddock certs renew NAME --force` asks the CA all the same.";

/**
 * Lets an order begin only where the CA will take it and its certificate will be kept: the storage lasts, the CA has
 * not said to wait, and none of its limits is reached. It never waits itself; it says when to come again.
 */
export class IssuanceGuard {
  readonly #options: GuardOptions;
  readonly #doubt: StorageDoubt;
  /** By directory. */
  readonly #ledgers = new Map<string, Promise<Ledger>>();
  readonly #underWay = new Map<Ledger, Set<UnderWay>>();
  /** Bucket and set to the moment that was promised, so that a thousand who wait do not come all at once. */
  readonly #promises = new Map<string, number>();
  /** Bucket to the last of them. */
  readonly #lastPromise = new Map<string, number>();

  /** @throws PaddockError `storage.failed` */
  static async open(options: GuardOptions): Promise<IssuanceGuard> {
    return new IssuanceGuard(options, await (options.storageDoubt ?? storageDoubt)(options.storage));
  }

  private constructor(options: GuardOptions, doubt: StorageDoubt) {
    this.#options = options;
    this.#doubt = doubt;
  }

  /** Why the order must not begin now, and when it may; null where it may. */
  async refusal(issuer: Issuer, intent: OrderIntent): Promise<HeldBack | null> {
    const { directory } = issuer;
    if (directory === undefined) return null;
    if (this.#doubt !== null && isProduction(directory)) return this.#notKept(issuer, this.#doubt);
    return this.#held(issuer, directory, await this.#ledger(directory), intent);
  }

  /**
   * @param force lets it through whatever speaks against it.
   * @throws HeldBack
   */
  async admit(issuer: Issuer, intent: OrderIntent, force: boolean): Promise<Admission> {
    const refusal = force ? null : await this.refusal(issuer, intent);
    if (refusal !== null) throw refusal;
    const { directory } = issuer;
    if (directory === undefined) return NOT_COUNTED;
    return this.#begin(await this.#ledger(directory), intent);
  }

  /** Resolves when what was noted is on disk, where the disk takes it. */
  async written(): Promise<void> {
    const ledgers = await Promise.all(this.#ledgers.values());
    await Promise.all(ledgers.map(async (ledger) => await ledger.written()));
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  #ledger(directory: string): Promise<Ledger> {
    const known = this.#ledgers.get(directory);
    if (known !== undefined) return known;
    const path = join(this.#options.storage, "ledger", `${fileNameFor(directory)}.json`);
    const opened = Ledger.open(path, this.#options);
    this.#ledgers.set(directory, opened);
    // Else a disk that is away for a moment would hold back every order until the next start.
    opened.catch(() => this.#ledgers.delete(directory));
    return opened;
  }

  #notKept({ name }: Issuer, doubt: string): HeldBack {
    const { storage } = this.#options;
    return new HeldBack(
      `nothing is ordered from ${name}: the storage ${storage} ${doubt}, so the certificate would be lost and ordered again at each start, until the CA's limit`,
      {
        until: null,
        now: this.#now,
        fix: `Mount a volume: \`docker run -v paddock:${storage} …\`, or \`volumes: ["paddock:${storage}"]\` of the service in a Compose file.`,
      },
    );
  }

  #held({ name }: Issuer, directory: string, ledger: Ledger, intent: OrderIntent): HeldBack | null {
    const now = this.#now;
    const refuse = (until: number, why: string): HeldBack =>
      new HeldBack(`${name} is not asked before ${moment(until)}: ${why}`, {
        until,
        now,
        fix: `It is ordered by itself then; ${AT_ALL_COSTS}`,
      });
    const set = fileNameForSet(intent.names);
    const hold = ledger.holds
      .filter((entry) => entry.at <= now && entry.until > now && (entry.set === null || entry.set === set))
      .reduce(
        (longest: { until: number; detail: string } | null, entry) =>
          longest === null || entry.until > longest.until ? entry : longest,
        null,
      );
    if (hold !== null)
      return refuse(hold.until, `the CA asked to wait so long (${hold.detail || "it gave no reason"})`);
    if (intent.unlimited) return null;
    let latest: { until: number; why: string } | null = null;
    for (const { key, times, limit, what } of this.#buckets(directory, ledger, intent)) {
      const until = this.#promise(`${directory} ${key}`, set, times, limit);
      if (until > (latest?.until ?? now)) latest = { until, why: `it gives ${what}, and these are used up` };
    }
    return latest === null ? null : refuse(latest.until, latest.why);
  }

  /** What this order would be taken from. */
  *#buckets(
    directory: string,
    ledger: Ledger,
    { names, renewal }: OrderIntent,
  ): Generator<{ key: string; times: readonly number[]; limit: Limit; what: string }> {
    const limits = (this.#options.limitsOf ?? limitsOf)(directory);
    const set = fileNameForSet(names);
    const ofSet = ledger.certificates.filter((entry) => entry.set === set);
    const underWay = [...(this.#underWay.get(ledger) ?? [])];
    const { exactSet, registeredDomain: perDomain, newOrders, failedAuthorizations } = limits;
    if (exactSet !== null)
      yield {
        key: "set",
        times: ofSet.map(({ at }) => at),
        limit: exactSet,
        what: counted(exactSet, "certificates for exactly these names"),
      };
    // A set that it has certified before is a renewal to the CA, which takes none of these.
    if (!renewal && ofSet.length === 0) {
      if (newOrders !== null)
        yield {
          key: "orders",
          times: [...ledger.orders, ...underWay.filter(({ created }) => !created).map(({ at }) => at)],
          limit: newOrders,
          what: counted(newOrders, "new orders to an account"),
        };
      if (perDomain !== null)
        for (const domain of domainsOf(names))
          yield {
            key: `domain ${domain}`,
            times: [...ledger.certificates, ...underWay]
              .filter(({ domains }) => domains.includes(domain))
              .map(({ at }) => at),
            limit: perDomain,
            what: counted(perDomain, `new certificates for names below ${domain}`),
          };
    }
    if (failedAuthorizations !== null)
      for (const name of new Set(names.map(withoutWildcard)))
        yield {
          key: `failed ${name}`,
          times: ledger.failures.filter((entry) => entry.name === name).map(({ at }) => at),
          limit: failedAuthorizations,
          what: counted(failedAuthorizations, `failed validations to ${name}`),
        };
  }

  /** Now, or the moment that this set is promised of the bucket: one piece after the last promise. */
  #promise(bucket: string, set: string, times: readonly number[], limit: Limit): number {
    const now = this.#now;
    const key = `${bucket} ${set}`;
    const next = nextAdmission(times, limit, now);
    if (next <= now) {
      this.#promises.delete(key);
      return now;
    }
    const piece = limit.window / limit.count;
    // What is further off than all who wait would need was promised by a clock that was ahead.
    const furthest = now + limit.window + this.#promises.size * piece;
    const given = this.#promises.get(key) ?? 0;
    if (given >= next && given <= furthest) return given;
    const last = this.#lastPromise.get(bucket) ?? 0;
    const until = Math.ceil(Math.max(next, last > now && last <= furthest ? last + piece : 0));
    this.#promises.set(key, until);
    this.#lastPromise.set(bucket, until);
    return until;
  }

  #begin(ledger: Ledger, { names, renewal }: OrderIntent): Admission {
    const set = fileNameForSet(names);
    const isNew = !renewal && !ledger.certificates.some((entry) => entry.set === set);
    const order: UnderWay = { at: this.#now, domains: isNew ? domainsOf(names) : [], created: !isNew };
    const orders = this.#underWay.get(ledger) ?? new Set();
    this.#underWay.set(ledger, orders.add(order));
    return {
      observe: (step) => {
        if (step.kind === "order-created") {
          order.created = true;
          if (isNew) ledger.note("orders", this.#now, this.#now);
        } else if (step.outcome === "failed" && problemIn(step.error) !== null)
          // What the CA has not looked at has cost nothing, and has no problem document.
          ledger.note("failures", { at: this.#now, name: withoutWildcard(step.name) }, this.#now);
      },
      issued: () => {
        orders.delete(order);
        ledger.lift(set);
        ledger.note("certificates", { at: this.#now, set, domains: order.domains }, this.#now);
      },
      failed: (error) => {
        orders.delete(order);
        const refused = refusalOf(error, names, this.#now);
        if (refused === null) return;
        const { until, ownNames, detail } = refused;
        const hold = { at: this.#now, until, set: ownNames ? set : null, detail: journalText(detail) };
        ledger.note("holds", hold, this.#now);
      },
    };
  }
}

/** At an issuer without a directory, as the embedded CA: it has no limits. */
const NOT_COUNTED: Admission = { observe: () => {}, issued: () => {}, failed: () => {} };

function domainsOf(names: readonly string[]): string[] {
  return [...new Set(names.map(registeredDomain))];
}

function withoutWildcard(name: string): string {
  return name.replace(/^\*\./, "");
}

/** `5 certificates in 7 days (one each 33.6 hours)`. */
function counted({ count, window }: Limit, what: string): string {
  const hours = window / HOUR;
  const whole = hours % 24 === 0 ? `${hours / 24} days` : `${hours} h`;
  const piece = hours / count;
  const each = piece < 1 ? `${tenths(piece * 60)} minutes` : `${tenths(piece)} hours`;
  return `${count} ${what} in ${whole} (one each ${each})`;
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
