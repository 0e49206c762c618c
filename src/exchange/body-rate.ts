/** nginx has a time between two reads; a rate is harder to drip under. Bytes a second. */
export const SLOWEST = 1024;

/** Counts what a client sends, span by span, so that one that drips can be told from one that is slow. */
export class BodyRate {
  #received = 0;
  readonly #enough: number;

  /** `span`: milliseconds between two looks. */
  constructor(span: number) {
    this.#enough = (SLOWEST * span) / 1000;
  }

  count(bytes: number): void {
    this.#received += bytes;
  }

  /** Begins a new span, whatever the last one brought. */
  restart(): void {
    this.#received = 0;
  }

  /** Whether the span that ends now brought enough; begins a new span. */
  fastEnough(): boolean {
    const enough = this.#received >= this.#enough;
    this.#received = 0;
    return enough;
  }
}
