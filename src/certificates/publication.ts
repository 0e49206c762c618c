import type { Logger } from "../logging/logger.ts";
import { sentenceOf } from "./sentences.ts";
import { servedKeys } from "./served.ts";
import type { ServedCertificate } from "./status.ts";

export interface PublicationOptions {
  /** What is to be served now. */
  readonly served: () => readonly ServedCertificate[];
  /** As CertificateManagerOptions has it. */
  readonly onServe: (certificates: readonly ServedCertificate[], again: boolean) => Promise<void>;
  /** Called once all workers serve a set that is new. */
  readonly onSent: () => void;
  readonly log: Logger;
}

/** The way of what is served to the workers. One set after the other, so that an older can never overtake a newer. */
export class Publication {
  readonly #options: PublicationOptions;
  #running: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | null = null;
  #sent = "";
  #again = false;
  /** Whether the last set did not reach the workers. */
  isUnsent = false;

  constructor(options: PublicationOptions) {
    this.#options = options;
  }

  /**
   * Resolves once what is served now is with the workers, or could not be sent; never rejects. Who asks while one waits
   * for its turn shares it: it will send what is served then.
   */
  publish(): Promise<void> {
    this.#waiting ??= this.#running = this.#running.then(() => {
      this.#waiting = null;
      return this.#send();
    });
    return this.#waiting;
  }

  /** Sends all of it, whether it changed or not; for a worker that serves something else. */
  publishAgain(): Promise<void> {
    this.#again = true;
    return this.publish();
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  async #send(): Promise<void> {
    const { served, onServe, onSent, log } = this.#options;
    const certificates = served();
    const set = servedKeys(certificates);
    const again = this.#again;
    if (set === this.#sent && !again) return;
    this.#again = false;
    try {
      await onServe(certificates, again);
      this.#sent = set;
      this.isUnsent = false;
      onSent();
    } catch (error) {
      this.isUnsent = true;
      log.error({ err: error }, `new certificates did not reach the workers: ${sentenceOf(error)}`);
    }
  }
}
