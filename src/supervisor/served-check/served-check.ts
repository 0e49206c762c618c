import { isIP } from "node:net";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { HandshakeResult, OwnAddress } from "./handshake.ts";

/** A round begins so long after the end of the one before, milliseconds. */
const BETWEEN_ROUNDS = 3_600_000;
/** One round is spread over this, milliseconds, but has at least this many handshakes a second. */
const LONGEST_ROUND = 1_800_000;
const SLOWEST_PACE = 1_000;
/** Names that a worker is asked about at a time. */
const ASKED_AT_ONCE = 500;
/** Before a handshake that failed is tried once more, milliseconds. */
const SECOND_TRY = 1_000;

/** Fingerprints that one worker holds, in the order of the names that were asked about; null for none. */
export interface WorkerHolding {
  readonly worker: number;
  readonly fingerprints: readonly (string | null)[];
}

export interface ServedCheckOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Where the https listeners are reached; empty where there are none. */
  readonly addresses: () => readonly OwnAddress[];
  readonly shakeHands: (address: OwnAddress, name: string, signal: AbortSignal) => Promise<HandshakeResult>;
  readonly askWorkers: (names: readonly string[]) => Promise<readonly WorkerHolding[]>;
  /** Sends all certificates to all workers again; resolves when they have them. */
  readonly repair: () => Promise<void>;
  readonly onDifference: (difference: Difference) => void;
  readonly onRepaired: (name: string) => void;
}

export interface Difference {
  readonly name: string;
  /** `[::1]:443`, or `worker 4711`. */
  readonly where: string;
  readonly expected: string;
  readonly found: string | null;
}

/**
 * Whether what is served is what is stored: every hour, and after each swap for the names that it changed.
 *
 * - A handshake with the daemon's own listener proves the whole way: socket, PROXY header, server name, key.
 *   The kernel chooses which worker gets it, so that a handshake for each of them would be a matter of luck.
 * - Therefore each worker is also asked what it holds: the table that its handshakes look into.
 *
 * Rejected: so many handshakes that each worker gets one with near certainty. With 8 workers that are 37 for 99 %,
 * for each of ten thousand names.
 *
 * One handshake at a time, the names spread over half an hour. Renewal never waits for it.
 */
export class ServedCheck {
  readonly #options: ServedCheckOptions;
  /** Of the last look; a name that was not looked at is absent. */
  readonly #verdicts = new Map<string, boolean>();
  readonly #ending = new AbortController();
  /** Name to fingerprint: what the workers said they serve. A certificate that is on its way to them is not in it. */
  #sent: ReadonlyMap<string, string> = new Map();
  /** Names that a swap has changed, for the look that is under way. */
  #urgent: string[] = [];
  #turn: Promise<void> = Promise.resolve();
  #round = 0;

  constructor(options: ServedCheckOptions) {
    this.#options = options;
  }

  /** From now on it looks every hour. */
  start(): void {
    void this.#rounds();
  }

  /** After the workers were given certificates, name to fingerprint: what differs from before is looked at soon. */
  swapped(sent: ReadonlyMap<string, string>): void {
    const before = this.#sent;
    this.#sent = sent;
    for (const name of this.#verdicts.keys()) if (!this.#sent.has(name)) this.#verdicts.delete(name);
    const changed = [...this.#sent].filter(([name, print]) => before.get(name) !== print);
    const names = changed.map(([name]) => name);
    if (names.length > ASKED_AT_ONCE) this.#enqueue(names);
    else {
      this.#urgent.push(...names);
      this.#run(() => this.#lookAtUrgent());
    }
  }

  /** Whether the last look found for `name` what is stored; undefined before the first one. */
  verdict(name: string): boolean | undefined {
    return this.#verdicts.get(name);
  }

  /** Resolves when nothing is being looked at. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  close(): void {
    this.#ending.abort();
  }

  async #rounds(): Promise<void> {
    while (await this.#pause(BETWEEN_ROUNDS)) {
      this.#round += 1;
      this.#enqueue([...this.#sent.keys()]);
      await this.#turn;
    }
  }

  #enqueue(names: readonly string[]): void {
    this.#run(() => this.#look(names));
  }

  #run(look: () => Promise<void>): void {
    this.#turn = this.#turn.then(look).catch((error: unknown) => {
      if (!this.#ending.signal.aborted)
        this.#options.log.error({ err: error }, "what is served could not be compared with what is stored");
    });
  }

  async #look(names: readonly string[]): Promise<void> {
    const pace = Math.min(SLOWEST_PACE, LONGEST_ROUND / names.length);
    for (let at = 0; at < names.length; at += ASKED_AT_ONCE) {
      const some = names.slice(at, at + ASKED_AT_ONCE);
      const wrong = new Set((await this.#compareWorkers(some)).map(({ name }) => name));
      for (const [index, name] of some.entries()) {
        if (at + index > 0 && !(await this.#pause(pace))) return;
        // A round of ten thousand names takes half an hour, and a swap is not to wait for its end.
        await this.#lookAtUrgent();
        const found = await this.#compareHandshake(name, at + index);
        if (typeof found === "object") wrong.add(name);
        this.#verdicts.set(name, found === "right" && !wrong.has(name));
      }
      // Not at the end of the round: a wrong certificate is not to be served for half an hour.
      if (wrong.size > 0) await this.#mend([...wrong]);
    }
  }

  async #lookAtUrgent(): Promise<void> {
    const names = this.#urgent;
    this.#urgent = [];
    if (names.length > 0) await this.#look(names);
  }

  /**
   * Looks a second time, since a swap may have come in between, and then sends all certificates again. Once for
   * all names: if it does not help, doing it for each of them would not either.
   */
  async #mend(suspects: readonly string[]): Promise<void> {
    const { log, repair, onDifference, onRepaired } = this.#options;
    if (!(await this.#pause(SECOND_TRY))) return;
    const wrong = await this.#differences(suspects);
    for (const difference of wrong.values()) {
      const { name, where, expected, found } = difference;
      onDifference(difference);
      const instead = found === null ? "no certificate" : `the certificate ${found}`;
      log.error(
        { certificate: name, where, expected, found },
        `${name} is served with ${instead} at ${where}, not with the stored one; the certificates are sent to the workers again`,
      );
    }
    for (const name of suspects) this.#verdicts.set(name, !wrong.has(name));
    if (wrong.size === 0) return;
    await repair();
    const still = await this.#differences([...wrong.keys()]);
    for (const name of wrong.keys()) {
      if (still.has(name)) {
        log.error(
          { certificate: name },
          `${name} is still not served with the stored certificate; restart the daemon`,
        );
        continue;
      }
      this.#verdicts.set(name, true);
      log.info({ certificate: name }, `${name} is served with the stored certificate again`);
      onRepaired(name);
    }
  }

  async #differences(names: readonly string[]): Promise<Map<string, Difference>> {
    const found = new Map<string, Difference>();
    for (const difference of await this.#compareWorkers(names)) found.set(difference.name, difference);
    for (const [index, name] of names.entries()) {
      const difference = await this.#compareHandshake(name, index);
      if (typeof difference === "object") found.set(name, difference);
    }
    return found;
  }

  async #compareWorkers(names: readonly string[]): Promise<Difference[]> {
    const holdings = await this.#options.askWorkers(names);
    const expected = this.#sent;
    return holdings.flatMap(({ worker, fingerprints }) =>
      names.flatMap((name, index) => {
        const wanted = expected.get(name);
        const found = fingerprints[index] ?? null;
        if (wanted === undefined || found === wanted) return [];
        return [{ name, where: `worker ${worker}`, expected: wanted, found }];
      }),
    );
  }

  /** `unreachable` says that nothing is known. Without a listener there is nothing to be wrong. */
  async #compareHandshake(name: string, turn: number): Promise<Difference | "right" | "unreachable"> {
    const { addresses, shakeHands, log } = this.#options;
    const known = addresses();
    // Several listeners take turns: each name sees all of them over the rounds.
    const address = known[(turn + this.#round) % Math.max(1, known.length)];
    if (address === undefined) return "right";
    const where =
      isIP(address.host) === 6 ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
    const { signal } = this.#ending;
    let result = await shakeHands(address, name, signal);
    if ("error" in result && (await this.#pause(SECOND_TRY)))
      result = await shakeHands(address, name, signal);
    const expected = this.#sent.get(name);
    if (expected === undefined || signal.aborted) return "right";
    if ("error" in result) {
      if (this.#verdicts.get(name) !== false)
        log.warn(
          { certificate: name, where },
          `no handshake for ${name} with the own listener ${where}: ${result.error}`,
        );
      return "unreachable";
    }
    const { fingerprint: found } = result;
    if (found !== null && this.#rightOnes(name, expected).includes(found)) return "right";
    return { name, where, expected, found };
  }

  /** Without a server name, so for an IP address, any of the certificates for IP addresses may come. */
  #rightOnes(name: string, expected: string): readonly string[] {
    if (isIP(name) === 0) return [expected];
    return [...this.#sent].filter(([one]) => isIP(one) !== 0).map(([, fingerprint]) => fingerprint);
  }

  /** False where it was closed meanwhile. */
  async #pause(delay: number): Promise<boolean> {
    const { signal } = this.#ending;
    if (signal.aborted) return false;
    return await new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        resolve(false);
      };
      const timer = this.#options.clock.setTimer(delay, () => {
        signal.removeEventListener("abort", end);
        resolve(true);
      });
      signal.addEventListener("abort", end, { once: true });
    });
  }
}
