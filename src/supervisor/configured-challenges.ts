import type { ChallengeAnswer, ChallengeBoard } from "../acme/challenge.ts";
import { kindsThatProve, type ChallengeKind } from "../config/challenges.ts";
import type { Configuration } from "../config/configuration.ts";
import type { HookTurns } from "../dns/hook.ts";
import type { Logger } from "../logging/logger.ts";
import type { WorkerChallengeBoard } from "./challenge-board.ts";
import { DnsChallenges } from "./dns-challenges.ts";
import type { ProvenChallenges } from "./proven-challenges.ts";

/** What outlives a configuration. */
export interface ProvingParts {
  readonly workers: WorkerChallengeBoard;
  readonly proven: ProvenChallenges;
  readonly turns: HookTurns;
  readonly log: Logger;
}

/** The kinds of challenges of one configuration, in its order, with what worked the last time in front. */
export class ConfiguredChallenges implements ChallengeBoard {
  readonly #kinds: readonly ChallengeKind[];
  readonly #workers: WorkerChallengeBoard;
  readonly #dns: DnsChallenges | null;
  readonly #proven: ProvenChallenges;

  constructor({ challenges, dns }: Pick<Configuration, "challenges" | "dns">, parts: ProvingParts) {
    this.#kinds = challenges;
    this.#workers = parts.workers;
    this.#proven = parts.proven;
    this.#dns = dns === null ? null : new DnsChallenges(dns, parts.turns, parts.log);
  }

  kindsFor(name: string): readonly ChallengeKind[] {
    const kinds = kindsThatProve(name, this.#kinds);
    const worked = this.#proven.of(name);
    if (worked === undefined || !kinds.includes(worked)) return kinds;
    return [worked, ...kinds.filter((kind) => kind !== worked)];
  }

  async publish(answer: ChallengeAnswer, signal: AbortSignal): Promise<void> {
    if (answer.kind === "dns-01" && this.#dns !== null) await this.#dns.publish(answer, signal);
    else await this.#workers.publish(answer, signal);
  }

  async withdraw(answer: ChallengeAnswer): Promise<void> {
    if (answer.kind === "dns-01" && this.#dns !== null) await this.#dns.withdraw(answer);
    else await this.#workers.withdraw(answer);
  }

  proven(name: string, kind: ChallengeKind): void {
    const [usual] = kindsThatProve(name, this.#kinds);
    this.#proven.remember(name, kind === usual ? undefined : kind);
  }
}
