/** A CA for the simulation of years: its certificates are real, its outages are drawn, all by one seed and a held clock. */
import { generateKeyPairSync } from "node:crypto";
import { readPair } from "../../src/certificates/certificate-pair.ts";
import type { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import type {
  IssuedCertificate,
  Issuer,
  IssueRequest,
  RenewalWindow,
} from "../../src/certificates/issuer.ts";
import { PaddockError } from "../../src/errors.ts";
import { DAY, HOUR, MINUTE } from "./fixtures.ts";
import type { HeldClock } from "./held-clock.ts";

/** Mulberry32: from 0 to below 1, the same row for the same seed. */
export function drawing(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Issuance {
  readonly at: number;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The earliest start of the windows that were told for it; infinite where none was. */
  windowFrom: number;
}

interface Outage {
  readonly start: number;
  readonly end: number;
  readonly kind: "unreachable" | "unavailable" | "limited" | "slow";
  orders: number;
}

/** `start` and `end` of the window, as shares of the lifetime; null where the CA has no renewal information. */
export type WindowShape = readonly [number, number] | null;

const LONGEST_OUTAGE = 3 * DAY;
const KINDS = ["unreachable", "unavailable", "limited", "slow"] as const;

export class SimulatedCa implements Issuer {
  readonly name = "simulated";
  readonly issued: Issuance[] = [];
  readonly outages: Outage[] = [];
  readonly #ca: EmbeddedCa;
  readonly #clock: HeldClock;
  readonly #random: () => number;
  readonly #lifetime: number;
  readonly #shape: WindowShape;
  #nextOutage: number;
  #revoked = -1;
  #asleep = 0;
  /** Called when an order waits for the clock. */
  #onDoze: () => void = () => undefined;

  constructor(options: {
    ca: EmbeddedCa;
    clock: HeldClock;
    random: () => number;
    lifetime: number;
    shape: WindowShape;
  }) {
    this.#ca = options.ca;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#lifetime = options.lifetime;
    this.#shape = options.shape;
    this.#nextOutage = this.#afterUptime(options.clock.now());
  }

  async issue({ names, signal }: IssueRequest): Promise<IssuedCertificate> {
    await this.#suffer(signal, true);
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const spki = publicKey.export({ type: "spki", format: "der" });
    // The embedded CA dates back by an hour, within which a CA counts the lifetime too.
    const chain = await this.#ca.sites.certify(names, spki, this.#lifetime - HOUR);
    const key = privateKey.export({ type: "pkcs8", format: "pem" });
    const { notBefore, notAfter } = readPair(chain, key);
    this.issued.push({ at: this.#clock.now(), notBefore, notAfter, windowFrom: Infinity });
    return { chain, key };
  }

  async renewalWindow(_chain: string, signal: AbortSignal): Promise<RenewalWindow | null> {
    await this.#suffer(signal, false);
    const newest = this.issued.at(-1);
    if (this.#shape === null || newest === undefined) return null;
    // About once in 150 days: all of its certificates have to go.
    if (this.#random() < 1 / 600) this.#revoked = this.issued.length;
    const revoked = this.#revoked === this.issued.length;
    const lifetime = newest.notAfter - newest.notBefore;
    const [from, to] = revoked ? [-2, -1] : this.#shape;
    const [start, end] = [newest.notBefore + from * lifetime, newest.notBefore + to * lifetime];
    newest.windowFrom = Math.min(newest.windowFrom, start);
    return { start, end, explanationUrl: null, retryAfter: 6 * HOUR };
  }

  /** Resolves when `work` is done, or waits for the clock. */
  async settled(work: Promise<void>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#onDoze = resolve;
    if (this.#asleep > 0) resolve();
    work.then(resolve, reject);
    await promise;
  }

  get suffers(): boolean {
    return (this.outages.at(-1)?.end ?? 0) > this.#clock.now();
  }

  /** A day and a bit at least, so that the daily attempt falls into it; else two outages would be one of six days. */
  #afterUptime(now: number): number {
    return now + 26 * HOUR + this.#random() * 15 * DAY;
  }

  async #suffer(signal: AbortSignal, order: boolean): Promise<void> {
    const now = this.#clock.now();
    if (now >= this.#nextOutage && (order || this.#random() < 1 / 40)) {
      // It begins with the very order, which is the worst moment, or with a question before.
      const end = now + (this.#random() < 1 / 3 ? 1 : this.#random()) * LONGEST_OUTAGE;
      const kind = KINDS[Math.floor(this.#random() * KINDS.length)] ?? "slow";
      this.outages.push({ start: now, end, kind, orders: 0 });
      this.#nextOutage = this.#afterUptime(end);
    }
    const outage = this.outages.at(-1);
    if (outage === undefined || outage.end <= now) return;
    if (order) outage.orders += 1;
    switch (outage.kind) {
      case "unreachable":
        throw new PaddockError("acme.unreachable", "cannot talk to the CA");
      case "unavailable":
        throw new PaddockError("acme.problem", "503");
      case "limited":
        throw Object.assign(new PaddockError("acme.problem", "429"), { retryAfter: this.#random() * DAY });
      case "slow":
        await this.#sleep(this.#random() * 30 * MINUTE, signal);
        throw new PaddockError("acme.timeout", "the CA did not answer");
    }
  }

  async #sleep(delay: number, signal: AbortSignal): Promise<void> {
    const woken = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(delay, () => woken.resolve());
    const abort = (): void => woken.reject(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    this.#asleep += 1;
    this.#onDoze();
    try {
      await woken.promise;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", abort);
      this.#asleep -= 1;
    }
  }
}
