import type { ChallengeAnswer } from "../acme/challenge.ts";
import { challengeCertificate } from "../tls/challenge-certificate.ts";
import type { TlsCertificate } from "../tls/certificate.ts";
import type { Workers } from "./workers.ts";

/** Answers of http-01 and tls-alpn-01, shown by every worker before the CA is told to look. */
export class WorkerChallengeBoard {
  readonly #answers = new Map<string, string>();
  /** By token. */
  readonly #certificates = new Map<string, TlsCertificate>();
  /** Name to the moment when the challenge before is over: a server name has one certificate at a time. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #leave = new Map<string, () => void>();
  readonly #workers: Pick<Workers, "setChallenges">;

  constructor(workers: Pick<Workers, "setChallenges">) {
    this.#workers = workers;
  }

  /** Resolves when every worker shows it. */
  async publish(
    { kind, name, token, keyAuthorization }: ChallengeAnswer,
    signal: AbortSignal,
  ): Promise<void> {
    if (kind === "http-01") this.#answers.set(token, keyAuthorization);
    else {
      await this.#turn(name, token, signal);
      this.#certificates.set(token, await challengeCertificate(name, keyAuthorization, Date.now()));
    }
    await this.#tell();
  }

  async withdraw({ token }: ChallengeAnswer): Promise<void> {
    const shown = [this.#answers.delete(token), this.#certificates.delete(token)].includes(true);
    if (shown) await this.#tell();
    this.#leave.get(token)?.();
    this.#leave.delete(token);
  }

  /** Waits for other challenges of the same name: those of another order, at another CA. */
  async #turn(name: string, token: string, signal: AbortSignal): Promise<void> {
    const before = this.#turns.get(name);
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const turn = (before ?? Promise.resolve()).then(() => over);
    this.#turns.set(name, turn);
    this.#leave.set(token, () => {
      resolve();
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    });
    if (before === undefined) return;
    const { promise: aborted, resolve: abort } = Promise.withResolvers<void>();
    const stop = (): void => abort();
    signal.addEventListener("abort", stop, { once: true });
    await Promise.race([before, aborted]);
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
  }

  async #tell(): Promise<void> {
    await this.#workers.setChallenges({
      answers: [...this.#answers],
      certificates: [...this.#certificates.values()],
    });
  }
}
