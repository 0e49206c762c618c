import { hostname } from "node:os";
import type { Delivery, Notice, Notifier } from "../../certificates/notice.ts";
import { sentenceOf } from "../../certificates/sentences.ts";
import type { CertificateStatus } from "../../certificates/status.ts";
import type { Clock, Timer } from "../../clock.ts";
import type { NotifyConfiguration } from "../../config/configuration.ts";
import type { Logger } from "../../logging/logger.ts";
import { sendMail } from "./mail.ts";
import { messageOf, testMessage, type Message } from "./message.ts";
import { postToWebhook } from "./webhook.ts";

/** What comes within this is one message, milliseconds: a CA that is down fails many certificates at once. */
const GATHERING = 5_000;
/** Between two messages; it doubles while they go on, so that ten thousand failing names are not an hour of alarm. */
const SHORTEST_INTERVAL = 60_000;
const LONGEST_INTERVAL = 3_600_000;

interface Waiting {
  readonly notice: Notice;
  readonly done: () => void;
}

/** Tells the operator, by the ways of `notify:`. */
export class CertificateNotifier implements Notifier {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #statuses: () => readonly CertificateStatus[];
  readonly #ending = new AbortController();
  #configuration: NotifyConfiguration;
  #waiting: Waiting[] = [];
  #timer: Timer | null = null;
  #interval = SHORTEST_INTERVAL;
  #last = -Infinity;

  constructor(options: {
    configuration: NotifyConfiguration;
    clock: Clock;
    log: Logger;
    statuses: () => readonly CertificateStatus[];
  }) {
    this.#configuration = options.configuration;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#statuses = options.statuses;
  }

  configure(configuration: NotifyConfiguration): void {
    this.#configuration = configuration;
  }

  /** Whether there is anybody to tell. */
  get configured(): boolean {
    return this.#channels.length > 0;
  }

  notify(notice: Notice): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ notice, done: resolve });
    const now = this.#clock.now();
    if (now - this.#last > LONGEST_INTERVAL) this.#interval = SHORTEST_INTERVAL;
    const wait = Math.max(GATHERING, this.#last + this.#interval - now);
    this.#timer ??= this.#clock.setTimer(wait, () => void this.#sendAll());
    return promise;
  }

  /** Sends a test by every way at once, with the same bounds. */
  async test(): Promise<readonly Delivery[]> {
    const message = testMessage(hostname(), this.#clock.now());
    return await Promise.all(this.#channels.map((channel) => this.#send(channel, message)));
  }

  /** Ends what is under way; what was not delivered stays in the journals. */
  close(): void {
    this.#timer?.cancel();
    this.#ending.abort(new Error("the daemon ends"));
  }

  async #sendAll(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#timer = null;
    const now = this.#clock.now();
    if (now - this.#last < 2 * this.#interval)
      this.#interval = Math.min(2 * this.#interval, LONGEST_INTERVAL);
    this.#last = now;
    await Promise.all(batch.map(({ notice }) => notice.begin()));
    await Promise.all(
      this.#channels.map(async (channel) => {
        const open = batch.map(({ notice }) => notice).filter(({ sent }) => !sent.includes(channel));
        if (open.length === 0) return;
        const delivery = await this.#send(channel, this.#message(open));
        // What the end of the daemon cut short is neither delivered nor given up.
        if (!this.#ending.signal.aborted) for (const { took } of open) took(delivery);
      }),
    );
    if (!this.#ending.signal.aborted) for (const { done } of batch) done();
  }

  #message(notices: readonly Notice[]): Message {
    const statuses = this.#statuses();
    return messageOf(notices, {
      host: hostname(),
      now: this.#clock.now(),
      statusOf: (name) => statuses.find((status) => status.name === name) ?? null,
    });
  }

  get #channels(): ("webhook" | "mail")[] {
    const { webhook, mail } = this.#configuration;
    return [...(webhook === null ? [] : ["webhook" as const]), ...(mail === null ? [] : ["mail" as const])];
  }

  /** Never rejects. */
  async #send(channel: "webhook" | "mail", message: Message): Promise<Delivery> {
    const { webhook, mail } = this.#configuration;
    const { signal } = this.#ending;
    const context = { clock: this.#clock, signal };
    try {
      if (channel === "webhook" && webhook !== null) await postToWebhook(webhook, message, context);
      if (channel === "mail" && mail !== null) await sendMail(mail, message, context);
      this.#log.info(
        { channel, event: message.event },
        `the operator was told by ${channel}: ${message.subject}`,
      );
      return { channel, error: null };
    } catch (error) {
      const sentence = sentenceOf(error);
      if (!signal.aborted)
        this.#log.error(
          { channel, event: message.event },
          `the operator was not told by ${channel}: ${sentence}`,
        );
      return { channel, error: sentence };
    }
  }
}
