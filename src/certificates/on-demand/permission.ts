import type { Clock } from "../../clock.ts";

/** What the app says of a name; `unknown` where it gave no answer. */
export type AppAnswer = "yes" | "no" | "unknown";

/** MUST settle by itself within seconds, and MUST NOT reject. */
export type AskApp = (name: string) => Promise<AppAnswer>;

export interface Permission {
  readonly answer: AppAnswer;
  /** Milliseconds for which it is of no use to ask again. */
  readonly holds: number;
}

/** Milliseconds. A customer who has just added the domain in the app tries again soon. */
const HOLDS: Readonly<Record<AppAnswer, number>> = { yes: 60_000, no: 60_000, unknown: 5000 };
/** Answers that are kept; the oldest goes first. About 2 MB. */
const MOST_KEPT = 10_000;
/** Questions at a time, and those that wait for their turn: an app has few workers, and they have other work. */
const AT_ONCE = 4;
const MOST_WAITING = 100;
/** Questions a second about names that strangers came up with, and how many more at once. */
const RATE = 10;
const BURST = 50;

/**
 * The app's answers. A name is asked for once at a time and once while the answer holds; questions that strangers bring
 * about have a rate of their own, all together, so that whoever makes up names cannot make the app busy with them.
 */
export class Permissions {
  readonly #ask: AskApp;
  readonly #clock: Clock;
  /** In the order in which they were given. */
  readonly #kept = new Map<string, { readonly answer: AppAnswer; readonly until: number }>();
  readonly #asking = new Map<string, Promise<Permission>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  /** When the next question is due, if all came evenly. */
  #due = 0;

  constructor(ask: AskApp, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** The answer, where it is known without a question. */
  known(name: string): Permission | null {
    const kept = this.#kept.get(name);
    const holds = (kept?.until ?? 0) - this.#clock.now();
    // A clock that was set back must not make it hold for years.
    return kept === undefined || holds <= 0 || holds > HOLDS[kept.answer]
      ? null
      : { answer: kept.answer, holds };
  }

  /** @param stranger whether the question counts for the rate; where there are too many, it is not asked. */
  of(name: string, stranger: boolean): Promise<Permission> {
    const known = this.known(name);
    if (known !== null) return Promise.resolve(known);
    const asking = this.#asking.get(name);
    if (asking !== undefined) return asking;
    if (stranger && !this.#mayAsk()) return Promise.resolve({ answer: "unknown", holds: 1000 });
    const asked = this.#question(name).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asked);
    return asked;
  }

  #mayAsk(): boolean {
    if (this.#waiting.length >= MOST_WAITING) return false;
    const now = this.#clock.now();
    // The second bound is for a clock that was set back.
    const due = Math.min(Math.max(this.#due, now), now + ((BURST + 1) * 1000) / RATE);
    if (due - now > (BURST * 1000) / RATE) return false;
    this.#due = due + 1000 / RATE;
    return true;
  }

  async #question(name: string): Promise<Permission> {
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    let answer: AppAnswer;
    try {
      answer = await this.#ask(name);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
    this.#kept.delete(name);
    this.#kept.set(name, { answer, until: this.#clock.now() + HOLDS[answer] });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_KEPT) break;
      this.#kept.delete(oldest);
    }
    return { answer, holds: HOLDS[answer] };
  }
}
