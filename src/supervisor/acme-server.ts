import { mayCertify } from "../acme-server/name-policy.ts";
import type { AcmeServerWish, ServerIdentity } from "../acme-server/messages.ts";
import { DamagedFiles } from "../certificates/damaged.ts";
import type { EmbeddedCa } from "../certificates/embedded-ca.ts";
import { systemClock } from "../clock.ts";
import type { AcmeServerConfiguration } from "../config/configuration.ts";
import { messageOf, PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { AcmeRecords } from "./acme-records.ts";
import { AcmeServerProcess } from "./acme-server-process.ts";
import { describe } from "./listeners.ts";

const DAY = 24 * 3_600_000;
/** certbot of Debian 12 renews with 30 days left, whatever the length. */
const CERTIFICATE_LIFETIME = 90 * DAY;
/** Its own certificate lives a week. */
const IDENTITY_REFRESH = 2 * DAY;
const LONGEST_WAIT = 60_000;

export interface AcmeServerOptions {
  readonly storage: string;
  readonly ca: EmbeddedCa;
  readonly log: Logger;
}

/**
 * The embedded CA for other machines. A process of its own reads what they send; this has the key and the disk, and
 * looks at each wish as if a stranger had it: the process may be one by then.
 */
export class AcmeServer {
  readonly #options: AcmeServerOptions;
  readonly #records: AcmeRecords;
  #configuration: AcmeServerConfiguration | null = null;
  #process: AcmeServerProcess | null = null;
  #wait = 1000;
  #restart: NodeJS.Timeout | null = null;
  #refresh: NodeJS.Timeout | null = null;

  constructor(options: AcmeServerOptions) {
    const { storage, log } = options;
    this.#options = options;
    this.#records = new AcmeRecords(storage, new DamagedFiles({ storage, clock: systemClock, log }));
  }

  /**
   * Serves as configured from now on; null ends it. Resolves once it listens.
   *
   * @throws PaddockError where it cannot listen, or the storage fails; what was served before is served again then.
   */
  async configure(configuration: AcmeServerConfiguration | null): Promise<void> {
    if (JSON.stringify(configuration) === JSON.stringify(this.#configuration)) return;
    const before = this.#configuration;
    await this.close();
    this.#configuration = configuration;
    try {
      await this.#start();
    } catch (error) {
      await this.close();
      this.#configuration = before;
      await this.#start().catch((cause: unknown) =>
        this.#options.log.error({ cause: messageOf(cause) }, "the ACME server did not come back"),
      );
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#restart !== null) clearTimeout(this.#restart);
    if (this.#refresh !== null) clearInterval(this.#refresh);
    this.#restart = null;
    this.#refresh = null;
    const ended = this.#process;
    this.#process = null;
    this.#configuration = null;
    await ended?.end();
  }

  async #start(): Promise<void> {
    const configuration = this.#configuration;
    if (configuration === null) return;
    const { ca, log } = this.#options;
    ca.acme.permit([...configuration.names, ...configuration.hosts]);
    const started = new AcmeServerProcess({
      grant: (wish) => this.#grant(wish),
      say: (level, message, fields) => log[level]({ ...fields, acmeServer: true }, message),
      ended: (how) => this.#ended(started, how),
    });
    this.#process = started;
    const records = await this.#records.load();
    await started.listen({ configuration, identity: await this.#identity(configuration), ...records });
    this.#wait = 1000;
    log.info(
      { listen: describe(configuration.listen), hosts: configuration.hosts, names: configuration.names },
      "the embedded CA serves other machines by ACME",
    );
    if (this.#refresh !== null) clearInterval(this.#refresh);
    this.#refresh = setInterval(() => {
      this.#identity(configuration).then(
        (identity) => this.#process?.setIdentity(identity),
        (error: unknown) =>
          log.error({ cause: messageOf(error) }, "the ACME server's own certificate was not renewed"),
      );
    }, IDENTITY_REFRESH).unref();
  }

  async #identity({ hosts }: AcmeServerConfiguration): Promise<ServerIdentity> {
    return await this.#options.ca.acme.issue(hosts);
  }

  async #grant(wish: AcmeServerWish): Promise<string | null> {
    switch (wish.type) {
      case "save":
        await this.#records.save(wish);
        return null;
      case "remove":
        await this.#records.remove(wish.kind, wish.recordId);
        return null;
      case "sign": {
        const { names, publicKey } = wish;
        const allowed = this.#configuration?.names ?? [];
        const stranger = names.find((name) => !mayCertify(allowed, name));
        if (stranger !== undefined || names.length === 0)
          throw new PaddockError("acme-server.name", `${stranger ?? "nothing"} is not to be certified`);
        const key = Buffer.from(publicKey, "base64");
        return await this.#options.ca.acme.certify(names, key, CERTIFICATE_LIFETIME);
      }
    }
  }

  /** Nothing is lost with it but nonces: what its clients were told of is on disk. */
  #ended(which: AcmeServerProcess, how: string): void {
    if (this.#process !== which) return;
    const wait = this.#wait;
    this.#wait = Math.min(LONGEST_WAIT, wait * 2);
    this.#options.log.error({ how, wait }, "the ACME server ended; it is started again");
    this.#process = null;
    this.#restart = setTimeout(() => {
      this.#start().catch((error: unknown) => {
        const failed = this.#process;
        this.#options.log.error({ cause: messageOf(error) }, "the ACME server could not be started");
        if (failed === null) return;
        this.#ended(failed, messageOf(error));
        void failed.end();
      });
    }, wait);
  }
}
