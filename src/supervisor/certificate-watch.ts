import type { JournalDocument } from "../certificates/journal-document.ts";
import type { JournalEntry } from "../certificates/journal-event.ts";
import type { CertificateManager } from "../certificates/manager.ts";
import type { ServedCertificate } from "../certificates/status.ts";
import { systemClock } from "../clock.ts";
import type { Configuration } from "../config/configuration.ts";
import { PaddockError } from "../errors.ts";
import { AddressList } from "../exchange/address-list.ts";
import type { Logger } from "../logging/logger.ts";
import { nameOf } from "./certificate-orders.ts";
import { circumstancesOf } from "./circumstances.ts";
import type { ControlCommands } from "./control-server.ts";
import type { ListeningSocket } from "./listeners.ts";
import { CertificateNotifier } from "./notify/notifier.ts";
import { shakeHands } from "./served-check/handshake.ts";
import { ownAddresses } from "./served-check/own-addresses.ts";
import { ServedCheck } from "./served-check/served-check.ts";
import type { Workers } from "./workers.ts";

/** The status page shows the journals of so many certificates, those in trouble first. */
const MOST_SHOWN = 50;
const ENTRIES_SHOWN = 8;

/** What looks after the certificates that are kept: compares what is served, and tells the operator of trouble. */
export class CertificateWatch {
  readonly #manager: CertificateManager;
  readonly #notifier: CertificateNotifier;
  readonly #check: ServedCheck;
  #proxied = new AddressList([]);

  constructor(options: {
    manager: CertificateManager;
    workers: Workers;
    sockets: () => readonly ListeningSocket[];
    configuration: Configuration;
    log: Logger;
    /** A certificate that was not served is served again. */
    onRepaired: (name: string) => void;
  }) {
    const { manager, workers, sockets, configuration, log } = options;
    this.#manager = manager;
    this.#notifier = new CertificateNotifier({
      configuration: configuration.notify,
      clock: systemClock,
      log,
      statuses: () => manager.status(),
    });
    const journalOf = (name: string) => manager.journals.of(manager.namesFor(name) ?? [name]);
    this.#check = new ServedCheck({
      clock: systemClock,
      log,
      addresses: () => ownAddresses(sockets()),
      shakeHands: (address, name, signal) => shakeHands(address, name, this.#proxied, signal),
      askWorkers: (names) => workers.held(names),
      repair: () => manager.serveAgain(),
      onDifference: (difference) =>
        journalOf(difference.name).record({ kind: "served-other", ...difference }),
      onRepaired: (name) => {
        journalOf(name).record({ kind: "served-repaired", name });
        options.onRepaired(name);
      },
    });
    this.configure(configuration);
  }

  configure(configuration: Configuration): void {
    const { notify, listen, rehearse } = configuration;
    this.#manager.rehearsals.configure(rehearse, circumstancesOf(configuration));
    this.#proxied = new AddressList(listen.proxyProtocol);
    this.#notifier.configure(notify);
    this.#manager.journals.notifier = this.#notifier.configured ? this.#notifier : null;
  }

  /** Every worker has said that it serves these. */
  swapped(served: readonly ServedCertificate[]): void {
    // As in a worker's table: of two certificates with the same name, the later one is served.
    const prints = served.flatMap(({ names, fingerprint }) =>
      names.map((name) => [name, fingerprint] as const),
    );
    this.#check.swapped(new Map(prints));
  }

  start(): void {
    this.#check.start();
  }

  close(): void {
    this.#check.close();
    this.#notifier.close();
  }

  /** False where the last look found something else than the stored certificate, or could not find out. */
  servesAsTold(name: string): boolean {
    return this.#check.verdict(name) ?? true;
  }

  /** The last entries of the journals, by the certificate's first name. */
  async recent(): Promise<ReadonlyMap<string, readonly JournalEntry[]>> {
    const trouble = (state: string): number => (state === "failing" ? 0 : 1);
    const shown = this.#manager
      .status()
      .toSorted((a, b) => trouble(a.state) - trouble(b.state))
      .slice(0, MOST_SHOWN);
    const journals = await Promise.all(
      shown.map(async ({ name, names }) => {
        const { entries } = await this.#manager.journals.read(names);
        return [name, entries.slice(-ENTRIES_SHOWN)] as const;
      }),
    );
    return new Map(journals);
  }

  get commands(): ControlCommands {
    return {
      "certs-journal": async (order) => await this.#journal(nameOf(order)),
      "certs-notify-test": async () => {
        if (!this.#notifier.configured)
          throw new PaddockError("ERR_NO_NOTIFY", "the configuration has no notify", {
            fix: "set notify.webhook or notify.mail, then run `paddock reload`",
          });
        return { deliveries: await this.#notifier.test() };
      },
    };
  }

  async #journal(name: string): Promise<JournalDocument> {
    const names = this.#manager.namesFor(name);
    if (names !== null) return await this.#manager.journals.read(names);
    throw new PaddockError("certificate.unknown-name", `no site has the name ${name}`, {
      fix: "Use a name that `paddock certs list` shows.",
    });
  }
}
