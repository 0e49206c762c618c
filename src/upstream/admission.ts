import type { Deadlines, Expiring } from "../exchange/deadlines.ts";

/** A request that wants to go to the app. */
export interface Applicant {
  readonly clientAddress: string;
  /** It may go; MUST be followed by `leave`, once. Called during `enter` where there is room. */
  admitted(): void;
  /** It may not: the queue is full, or its time in the queue is over. */
  refused(why: "queue full" | "queue timeout"): void;
}

export interface AdmissionOptions {
  /** Requests that wait, all clients together. */
  readonly queueLength: number;
  /** Longest wait, milliseconds. */
  readonly queueTimeout: number;
}

class Waiting implements Expiring {
  readonly applicant: Applicant;
  readonly deadline: number;
  readonly #expire: (waiting: Waiting) => void;

  constructor(applicant: Applicant, deadline: number, expire: (waiting: Waiting) => void) {
    this.applicant = applicant;
    this.deadline = deadline;
    this.#expire = expire;
  }

  expire(): void {
    this.#expire(this);
  }
}

/**
 * Lets as many requests to the app as it can work on, and queues the others: first come first served for one
 * client, and clients in turn, so that one that sends hundreds does not stand before all others.
 */
export class Admission {
  inFlight = 0;
  waiting = 0;
  #limit = Infinity;
  readonly #options: AdmissionOptions;
  readonly #deadlines: Deadlines;
  /** By client address; the order of the map is the order of the turns. */
  readonly #queues = new Map<string, Waiting[]>();
  readonly #byApplicant = new Map<Applicant, Waiting>();

  constructor(options: AdmissionOptions, deadlines: Deadlines) {
    this.#options = options;
    this.#deadlines = deadlines;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Requests at a time; Infinity for no limit. */
  set limit(limit: number) {
    this.#limit = limit;
    this.#admit();
  }

  enter(applicant: Applicant): void {
    if (this.inFlight < this.#limit && this.waiting === 0) {
      this.inFlight++;
      applicant.admitted();
      return;
    }
    const { clientAddress } = applicant;
    if (this.waiting >= this.#options.queueLength && !this.#makeRoom(clientAddress)) {
      applicant.refused("queue full");
      return;
    }
    const waiting = new Waiting(applicant, Date.now() + this.#options.queueTimeout, (late) => {
      this.#remove(late);
      late.applicant.refused("queue timeout");
    });
    const queue = this.#queues.get(clientAddress);
    if (queue === undefined) this.#queues.set(clientAddress, [waiting]);
    else queue.push(waiting);
    this.#byApplicant.set(applicant, waiting);
    this.#deadlines.add(waiting);
    this.waiting++;
  }

  /** An admitted request is done with the app. */
  leave(): void {
    this.inFlight--;
    this.#admit();
  }

  /** The client of a request that may still wait has gone; false if it was not waiting. */
  cancel(applicant: Applicant): boolean {
    const waiting = this.#byApplicant.get(applicant);
    if (waiting === undefined) return false;
    this.#remove(waiting);
    return true;
  }

  #admit(): void {
    while (this.waiting > 0 && this.inFlight < this.#limit) {
      const [address, queue] = this.#queues.entries().next().value as [string, Waiting[]];
      const next = queue.shift() as Waiting;
      // To the end of the turns, if there is more.
      this.#queues.delete(address);
      if (queue.length > 0) this.#queues.set(address, queue);
      this.#forget(next);
      this.inFlight++;
      next.applicant.admitted();
    }
  }

  /** Whether a newcomer takes the place of the last one of the longest queue: its own is shorter by two or more. */
  #makeRoom(newcomer: string): boolean {
    let longest: Waiting[] = [];
    for (const queue of this.#queues.values()) if (queue.length > longest.length) longest = queue;
    if (longest.length < (this.#queues.get(newcomer)?.length ?? 0) + 2) return false;
    const last = longest.at(-1) as Waiting;
    this.#remove(last);
    last.applicant.refused("queue full");
    return true;
  }

  #remove(waiting: Waiting): void {
    const { clientAddress } = waiting.applicant;
    const queue = this.#queues.get(clientAddress) as Waiting[];
    queue.splice(queue.indexOf(waiting), 1);
    if (queue.length === 0) this.#queues.delete(clientAddress);
    this.#forget(waiting);
  }

  #forget(waiting: Waiting): void {
    this.#byApplicant.delete(waiting.applicant);
    this.#deadlines.delete(waiting);
    this.waiting--;
  }
}
