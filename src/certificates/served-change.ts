import { servedKeys } from "./served.ts";
import type { ServedCertificate } from "./status.ts";

interface Way {
  /** Whether the last set did not reach the workers. */
  readonly isUnsent: () => boolean;
  readonly publish: () => Promise<void>;
}

/**
 * Publishes what one job serves where that has changed: the set of ten thousand is not put together for each that only
 * asks for renewal information.
 */
export class ServedChange {
  readonly #way: Way;
  #published = "";

  constructor(way: Way) {
    this.#way = way;
  }

  /** These are with the workers, or on their way. */
  note(served: readonly ServedCertificate[]): void {
    this.#published = servedKeys(served);
  }

  async publish(served: readonly ServedCertificate[]): Promise<void> {
    const before = this.#published;
    this.note(served);
    if (this.#published !== before || this.#way.isUnsent()) await this.#way.publish();
  }
}
