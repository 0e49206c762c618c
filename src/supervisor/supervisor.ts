import { randomBytes } from "node:crypto";
import type { Server } from "node:http";
import type { Configuration } from "../config/configuration.ts";
import { messageOf, PaddockError } from "../errors.ts";
import { createLogger, type Logger } from "../logging/logger.ts";
import { Exposition } from "../metrics/exposition.ts";
import { VERSION } from "../version.ts";
import { openAdminListener } from "./admin.ts";
import { certificateFacts, labelOf } from "./certificate-facts.ts";
import { CertificateService } from "./certificate-service.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { WorkerChallengeBoard } from "./challenge-board.ts";
import { ConcurrencyLimits } from "./concurrency.ts";
import { MaintenanceState, maintenanceRequest, type MaintenanceRequest } from "./maintenance.ts";
import { openControlSocket } from "./control-server.ts";
import { describe, Listeners } from "./listeners.ts";
import type { DaemonStatus } from "./status.ts";
import { cachedSite, purgeRequest, type PurgeRequest } from "./purge.ts";
import { WantedRequests } from "./on-demand/wanted-requests.ts";
import { notifySystemd, startWatchdog } from "./systemd.ts";
import { Workers } from "./workers.ts";

/** Session tickets are sealed with a key of this age at most, milliseconds; RFC 8446 section 4.6.1 allows 7 days. */
const TICKET_KEY_LIFE = 12 * 3_600_000;

/** The daemon: composes the parts, and owns everything that must last longer than a worker. */
export class Supervisor {
  readonly #load: () => Configuration;
  readonly #startedAt = Date.now();
  readonly #log: Logger;
  readonly #exposition = new Exposition(VERSION);
  readonly #workers: Workers;
  readonly #listeners = new Listeners();
  readonly #board: WorkerChallengeBoard;
  readonly #limits: ConcurrencyLimits;
  #configuration: Configuration;
  #certificates: CertificateService | null = null;
  #watch: CertificateWatch | null = null;
  #maintenance: MaintenanceState | null = null;
  #ticketKeys = randomBytes(48).toString("base64");
  #servers: Server[] = [];
  /** Resolves once the workers accept. */
  #accepting = Promise.resolve();
  #reloading: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | null = null;

  constructor(load: () => Configuration) {
    this.#load = load;
    this.#configuration = load();
    this.#log = createLogger(this.#configuration.log);
    this.#workers = new Workers(
      {
        configuration: this.#configuration,
        ticketKeys: this.#ticketKeys,
        certificates: new Map(),
        challenges: { answers: [], certificates: [] },
        maintenance: [],
        sockets: [],
      },
      this.#log,
    );
    this.#board = new WorkerChallengeBoard(this.#workers);
    this.#limits = new ConcurrencyLimits(() => this.#workers.all);
  }

  async start(): Promise<void> {
    const configuration = this.#configuration;
    const certificates = await CertificateService.open(
      {
        storage: configuration.storage,
        log: this.#log,
        onServe: async (served, again) => {
          // Where they never will, the start says so.
          await this.#accepting.catch(() => undefined);
          await this.#workers.setCertificates(served, again);
          this.#watch?.swapped(served);
        },
        onAttempt: (attempt) => this.#exposition.attempt(attempt),
      },
      this.#board,
    );
    this.#certificates = certificates;
    this.#workers.spawn();
    this.#workers.onDemand = new WantedRequests(certificates.manager.onDemand);
    const watch = new CertificateWatch({
      manager: certificates.manager,
      workers: this.#workers,
      sockets: () => this.#listeners.sockets,
      configuration,
      log: this.#log,
      onRepaired: (name) => this.#exposition.repaired(labelOf(name, certificates.manager.status())),
    });
    this.#watch = watch;
    this.#maintenance = await MaintenanceState.open(configuration.storage, this.#log);
    this.#servers.push(
      await openControlSocket(configuration.admin.socket, {
        reload: () => this.reload(),
        status: () => Promise.resolve(this.status()),
        maintenance: (order) => this.maintain(maintenanceRequest(order)),
        purge: (order) => this.purge(purgeRequest(order)),
        ...certificates.commands,
        ...watch.commands,
      }),
    );
    this.#listeners.open(configuration.listen, configuration.workers);
    await this.#workers.setMaintenance(this.#maintenance.forWorkers(configuration));
    this.#accepting = this.#accept(configuration);
    // Meanwhile, but for the sending: with thousands of certificates both take a second.
    const configuring = certificates
      .wanted(configuration)
      .then((wanted) => certificates.manager.configure(...wanted));
    await Promise.all([this.#accepting, configuring]);
    await certificates.acmeServer.configure(configuration.localCa.acme);
    if (configuration.admin.listen !== null) {
      const sources = {
        status: () => this.status(),
        metrics: () => this.metrics(),
        recent: () => watch.recent(),
      };
      this.#servers.push(await openAdminListener(configuration.admin.listen, sources));
    }
    watch.start();
    setInterval(() => void this.#rotateTicketKeys(), TICKET_KEY_LIFE).unref();
    startWatchdog();
    notifySystemd("READY=1", "STATUS=serving");
    this.#log.info(
      {
        version: VERSION,
        http: configuration.listen.http.map(describe),
        https: configuration.listen.https.map(describe),
        admin: configuration.admin.listen === null ? null : describe(configuration.admin.listen),
        workers: configuration.workers,
      },
      "serving",
    );
  }

  /** Port 80 comes before the certificates: an order may begin as soon as these are sent. */
  async #accept(configuration: Configuration): Promise<void> {
    await this.#workers.start();
    this.#limits.configure(configuration);
    await this.#workers.setSockets(this.#listeners.sockets);
  }

  /** Validates the whole configuration and applies it; throws and changes nothing if it is not valid. */
  reload(): Promise<{ how: string }> {
    const turn = this.#reloading.then(() => this.#reload());
    this.#reloading = turn.catch(() => undefined);
    return turn;
  }

  /** Opens or closes a site; in force in every worker when it resolves. Never between the steps of a reload. */
  maintain(request: MaintenanceRequest): Promise<{ site: string; before: boolean }> {
    const turn = this.#reloading.then(() => this.#maintain(request));
    this.#reloading = turn.catch(() => undefined);
    return turn;
  }

  async #maintain(request: MaintenanceRequest): Promise<{ site: string; before: boolean }> {
    const state = this.#maintenance as MaintenanceState;
    const done = await state.change(request, this.#configuration);
    await this.#workers.setMaintenance(state.forWorkers(this.#configuration));
    const { allow } = request;
    this.#log.info({ site: done.site, allow }, request.on ? "maintenance is on" : "maintenance is off");
    return done;
  }

  /** Resolves when nothing that was cached before is served any more. */
  async purge({ site: name, pattern }: PurgeRequest): Promise<{ site: string }> {
    const site = cachedSite(this.#configuration, name);
    await this.#workers.purge(site, pattern);
    this.#log.info({ site, pattern: pattern ?? "everything" }, "cache purged");
    return { site };
  }

  async #reload(): Promise<{ how: string }> {
    if (this.#stopping !== null) throw new PaddockError("ERR_STOPPING", "the daemon is shutting down");
    notifySystemd("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    try {
      const configuration = this.#load();
      refuseFixedChanges(this.#configuration, configuration);
      const certificates = this.#certificates as CertificateService;
      const wanted = await certificates.wanted(configuration);
      await this.#listen(configuration);
      await certificates.acmeServer.configure(configuration.localCa.acme);
      await this.#workers.setMaintenance(this.#maintenance?.forWorkers(configuration) ?? []);
      const how = await this.#workers.configure(configuration, this.#ticketKeys);
      this.#limits.configure(configuration);
      this.#listeners.closeOthers(configuration.listen);
      await this.#workers.setSockets(this.#listeners.sockets);
      await certificates.manager.configure(...wanted);
      this.#watch?.configure(configuration);
      this.#configuration = configuration;
      this.#log.level = configuration.log.level;
      this.#log.info({ workers: how }, "configuration applied");
      return { how };
    } catch (error) {
      await this.#certificates?.acmeServer.configure(this.#configuration.localCa.acme).catch(() => undefined);
      const fix = error instanceof PaddockError ? error.fix : undefined;
      this.#log.error(
        { cause: messageOf(error), fix },
        "configuration not applied; the one before stays in force",
      );
      throw error;
    } finally {
      notifySystemd("READY=1");
    }
  }

  /** Accepts on the new addresses as well as on those of before; throws and changes nothing if it cannot. */
  async #listen(configuration: Configuration): Promise<void> {
    this.#listeners.open(configuration.listen, configuration.workers);
    try {
      await this.#workers.setSockets(this.#listeners.sockets);
    } catch (error) {
      this.#listeners.closeOthers(this.#configuration.listen);
      await this.#workers.setSockets(this.#listeners.sockets);
      throw error;
    }
  }

  /** Finishes what is in flight and ends. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    notifySystemd("STOPPING=1");
    this.#log.info("shutting down: finishing what is in flight");
    this.#watch?.close();
    this.#listeners.close();
    this.#limits.close();
    await Promise.all([
      this.#workers.drain(this.#configuration.shutdownTimeout),
      this.#certificates?.manager.close(),
      this.#certificates?.acmeServer.close(),
    ]);
    for (const server of this.#servers) server.close();
    for (const server of this.#servers) server.closeAllConnections();
    this.#log.info("ended");
  }

  kill(): void {
    this.#workers.kill();
  }

  get rootCertificatePath(): string {
    return this.#certificates?.manager.ca.rootCertificatePath ?? "";
  }

  status(): DaemonStatus {
    const { sites, file } = this.#configuration;
    const certificates = this.#certificates?.manager.status() ?? [];
    return {
      version: VERSION,
      pid: process.pid,
      startedAt: this.#startedAt,
      configuration: file,
      clock: this.#certificates?.manager.clockDifference ?? null,
      ready: certificates.some(({ serving }) => serving === "stored"),
      sites: sites.map((site) => ({
        names: site.names,
        upstream: site.upstream?.name ?? null,
        static: site.static.map(({ prefix, folder }) => `${prefix} → ${folder}`),
        maintenance: this.#maintenance?.of(site) ?? null,
        internal: site.internal.map(({ prefix, folder }) => `${prefix} → ${folder}`),
      })),
      certificates,
      workers: this.#workers.serving.map(({ pid, state, startedAt }) => ({ pid, state, startedAt })),
    };
  }

  async metrics(): Promise<string> {
    const statuses = this.#certificates?.manager.status() ?? [];
    const facts = certificateFacts(statuses, (name) => this.#watch?.servesAsTold(name) !== false);
    return this.#exposition.render(facts, this.#limits.inForce(), await this.#workers.counts());
  }

  async #rotateTicketKeys(): Promise<void> {
    this.#ticketKeys = randomBytes(48).toString("base64");
    await this.#workers.setTicketKeys(this.#ticketKeys);
  }
}

/** What a running daemon cannot change; said rather than passed over in silence. */
function refuseFixedChanges(before: Configuration, after: Configuration): void {
  const fixed: string[] = [];
  if (before.storage !== after.storage) fixed.push("storage");
  if (JSON.stringify(before.admin) !== JSON.stringify(after.admin)) fixed.push("admin");
  if (before.log.format !== after.log.format) fixed.push("log.format");
  if (fixed.length === 0) return;
  throw new PaddockError("ERR_NEEDS_RESTART", `${fixed.join(" and ")} cannot change while the daemon runs`, {
    fix: "restart the daemon, or take that change back",
  });
}
