import type { Workers } from "./workers.ts";

/** http-01 answers, shown by every worker before the CA is told to look. */
export class WorkerChallengeBoard {
  readonly #answers = new Map<string, string>();
  readonly #workers: Workers;

  constructor(workers: Workers) {
    this.#workers = workers;
  }

  async publish(token: string, keyAuthorization: string): Promise<void> {
    this.#answers.set(token, keyAuthorization);
    await this.#workers.setChallenges(new Map(this.#answers));
  }

  async withdraw(token: string): Promise<void> {
    this.#answers.delete(token);
    await this.#workers.setChallenges(new Map(this.#answers));
  }
}
