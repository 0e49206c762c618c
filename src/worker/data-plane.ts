import type { Socket } from "node:net";
import type { Configuration } from "../config/configuration.ts";
import { AddressList } from "../exchange/address-list.ts";
import { Deadlines } from "../exchange/deadlines.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { sentBytes } from "../exchange/sent-bytes.ts";
import { Caches } from "../handlers/cache/caches.ts";
import { believeTrustedProxy } from "../handlers/client-address.ts";
import { MaintenanceTable, type Maintenance } from "../handlers/maintenance.ts";
import { ServerConnection } from "../http1/server-connection.ts";
import { ServerSession } from "../http2/server-session.ts";
import { authServers } from "../handlers/protection/auth-servers.ts";
import { RateLimits } from "../handlers/protection/rate-limits.ts";
import { createWorkerLogger, type WorkerLogger } from "../logging/logger.ts";
import { RequestCounts, type UpstreamLoad, type WorkerCounts } from "../metrics/request-counts.ts";
import { Pipeline } from "../pipeline.ts";
import { acceptProxyHeader } from "../proxy-protocol/accept.ts";
import { acceptTls } from "../tls/accept.ts";
import type { TlsCertificate } from "../tls/certificate.ts";
import { CertificateTable } from "../tls/certificate-table.ts";
import { TLS_POLICIES } from "../tls/policy.ts";
import { Upstreams } from "../upstream/registry.ts";
import type { WorkerReport, WorkerUsage } from "../worker-protocol.ts";
import { logBackendChange } from "./backend-log.ts";
import type { Listener } from "./accepting-sockets.ts";
import { ConnectionLimit } from "./connection-limit.ts";
import { plainAddress } from "./plain-address.ts";
import { RequestAccount } from "./request-account.ts";
import { ShownChallenges } from "./shown-challenges.ts";
import { UsedNames } from "./used-names.ts";
import { WantedNames } from "./wanted-names.ts";

/** Everything that serves, in one worker: the state that messages change and the connections that use it. */
export class DataPlane {
  readonly #counts = new RequestCounts();
  readonly #deadlines = new Deadlines();
  readonly #connections = new Set<{ drain(idle: number): void }>();
  readonly #upstreams: Upstreams;
  readonly #rateLimits = new RateLimits();
  readonly #clients = new ConnectionLimit();
  readonly #caches = new Caches({
    counted: (site, outcome) => this.#counts.cache(site, outcome),
    refused: (site, target, reason) => this.#logs.log.debug({ site, target, reason }, "not cached"),
  });
  readonly #bufferFolder: string | null;
  /** Handshakes that wait for a certificate on demand. */
  readonly wanted: WantedNames;
  readonly usedNames = new UsedNames();
  #configuration: Configuration;
  readonly #table: CertificateTable;
  #shown = new ShownChallenges({ answers: [], certificates: [] });
  #maintenance = new MaintenanceTable();
  #pipeline: Pipeline;
  #speaksProxyProtocol = new AddressList([]);
  #trustedProxies = new AddressList([]);
  readonly #logs: WorkerLogger;
  readonly #account: RequestAccount;
  #draining: (() => void) | null = null;
  #idle = 0;

  /** `bufferFolder`: the one folder that this worker may write to. */
  constructor(
    configuration: Configuration,
    ticketKeys: Buffer,
    bufferFolder: string | null,
    report: (message: WorkerReport) => void,
  ) {
    this.#configuration = configuration;
    this.wanted = new WantedNames((name, client) => report({ type: "wanted", name, client }));
    this.#bufferFolder = bufferFolder;
    this.#logs = createWorkerLogger(configuration.log);
    this.#account = new RequestAccount(this.#counts, this.#logs, configuration.log.access);
    this.#upstreams = new Upstreams(this.#deadlines, (change) => logBackendChange(this.#logs.log, change));
    this.#configureParts(configuration);
    this.#table = new CertificateTable(TLS_POLICIES[configuration.tls.policy], ticketKeys);
    this.#pipeline = this.#makePipeline();
  }

  configure(configuration: Configuration, ticketKeys: Buffer): void {
    this.#configuration = configuration;
    this.#logs.log.level = configuration.log.level;
    this.#account.access = configuration.log.access;
    this.#configureParts(configuration);
    this.#table.configure(TLS_POLICIES[configuration.tls.policy], ticketKeys);
    this.#pipeline = this.#makePipeline();
  }

  #configureParts(configuration: Configuration): void {
    const { sites, limits, workers, listen, trustedProxies } = configuration;
    this.wanted.configure(configuration);
    this.#clients.configure(limits, workers);
    this.#caches.configure(sites, workers);
    this.#speaksProxyProtocol = new AddressList(listen.proxyProtocol);
    this.#trustedProxies = new AddressList(trustedProxies);
    this.#upstreams.configure([...sites, ...authServers(sites)]);
  }

  /** `removed`: keys of certificates. */
  changeCertificates(added: readonly TlsCertificate[], removed: readonly string[]): void {
    this.#table.change(added, removed);
  }

  get certificates(): CertificateTable {
    return this.#table;
  }

  setChallenges(challenges: ShownChallenges): void {
    this.#shown = challenges;
  }

  setMaintenance(sites: readonly Maintenance[]): void {
    this.#maintenance = new MaintenanceTable(sites);
  }

  accept(socket: Socket, listener: Listener): void {
    const peer = plainAddress(socket.remoteAddress);
    if (peer === "") {
      // It has gone between accept and here.
      socket.destroy();
      return;
    }
    this.#counts.connection(listener, 1);
    socket.on("close", () => this.#counts.connection(listener, -1));
    if (!this.#speaksProxyProtocol.has(peer)) {
      this.#serve(socket, listener, peer);
      return;
    }
    // Counted from the first byte on, as for a handshake below.
    const arriving = { drain: () => undefined };
    this.#connections.add(arriving);
    socket.on("close", () => this.#closed(arriving));
    acceptProxyHeader(
      socket,
      this.#deadlines,
      (client) => {
        this.#serve(socket, listener, client ?? peer);
        this.#closed(arriving);
      },
      (reason) => this.#account.refused(400, reason, peer),
    );
  }

  #serve(socket: Socket, listener: Listener, clientAddress: string): void {
    // A trusted proxy's connections are those of all its clients.
    const isProxy = this.#trustedProxies.has(clientAddress);
    if (!isProxy) {
      if (!this.#clients.opened(clientAddress)) {
        this.#counts.connectionRefused(listener);
        socket.destroy();
        return;
      }
      socket.on("close", () => this.#clients.closed(clientAddress));
    }
    if (listener === "http") {
      this.#serveHttp1(socket, socket, clientAddress, false, "");
      return;
    }
    // Counted from the first byte on, so that a worker that drains does not leave in the middle of a handshake.
    const handshake = { drain: () => undefined };
    this.#connections.add(handshake);
    socket.on("close", () => this.#closed(handshake));
    acceptTls(
      socket,
      () => this.#table,
      this.#shown.tls,
      this.#deadlines,
      (secured) => {
        this.#counts.handshake(secured.getProtocol() ?? "unknown", secured.isSessionReused());
        const serverName = ((secured as { servername?: string | false }).servername || "").toLowerCase();
        if (secured.alpnProtocol !== "h2") {
          this.#serveHttp1(secured, socket, clientAddress, true, serverName);
          this.#closed(handshake);
          return;
        }
        const session = new ServerSession(secured, {
          clientAddress,
          serverName,
          timeouts: this.#configuration.timeouts,
          deadlines: this.#deadlines,
          sent: () => sentBytes(socket),
          handle: (exchange) => this.#handle(exchange),
          refused: (status, reason) => this.#account.refused(status, reason, clientAddress),
          ended: (cause) => {
            this.#counts.sessionEnded();
            this.#logs.log.info({ client: clientAddress, cause }, "HTTP/2 connection ended");
          },
          closed: () => this.#closed(session),
        });
        this.#opened(session);
        this.#closed(handshake);
      },
      (name, done) => this.wanted.wait(name, isProxy ? null : clientAddress, done),
    );
  }

  setLimit(upstream: string, limit: number): void {
    this.#upstreams.setLimit(upstream, limit);
  }

  /** What the other workers must know of this one's clients; null where there is nothing to tell. */
  usage(): WorkerUsage | null {
    const passed = this.#rateLimits.report();
    const connections = this.#clients.report();
    const invalidated = this.#caches.report();
    return passed === null && connections === null && invalidated === null
      ? null
      : { passed, connections, invalidated };
  }

  /** What another worker told. */
  usedElsewhere(worker: number, { passed, connections, invalidated }: WorkerUsage): void {
    if (passed !== null) this.#rateLimits.charge(passed);
    if (connections !== null) this.#clients.setElsewhere(worker, connections);
    if (invalidated !== null) this.#caches.invalidate(invalidated);
  }

  purge(site: string, pattern: string | null): void {
    this.#caches.purge(site, pattern);
  }

  counts(): WorkerCounts {
    return this.#counts.snapshot(this.#upstreams.allLoads(), this.#caches.bytes());
  }

  loads(): Record<string, UpstreamLoad> {
    return this.#upstreams.loads();
  }

  /** Finishes what is in flight, leaves idle connections `idle` ms; calls back when the last one has closed. */
  drain(idle: number, done: () => void): void {
    this.#draining = done;
    this.#idle = idle;
    for (const connection of this.#connections) connection.drain(idle);
    if (this.#connections.size === 0) done();
  }

  close(): void {
    this.#upstreams.close();
    this.#logs.flush();
  }

  /** `transport`: the TCP socket itself, which `socket` is where there is no TLS. */
  #serveHttp1(
    socket: Socket,
    transport: Socket,
    clientAddress: string,
    secure: boolean,
    serverName: string,
  ): void {
    const connection = new ServerConnection(socket, {
      clientAddress,
      secure,
      serverName,
      timeouts: this.#configuration.timeouts,
      deadlines: this.#deadlines,
      sent: () => sentBytes(transport),
      handle: (exchange) => this.#handle(exchange),
      refused: (status, reason) => this.#account.refused(status, reason, clientAddress),
      closed: () => this.#closed(connection),
    });
    this.#opened(connection);
  }

  #opened(connection: { drain(idle: number): void }): void {
    this.#connections.add(connection);
    if (this.#draining !== null) connection.drain(this.#idle);
  }

  #closed(connection: { drain(idle: number): void }): void {
    if (!this.#connections.delete(connection)) return;
    if (this.#draining !== null && this.#connections.size === 0) this.#draining();
  }

  #handle(exchange: Exchange): void {
    this.#account.began(exchange);
    if (!this.#trustedProxies.isEmpty) believeTrustedProxy(exchange, this.#trustedProxies);
    this.#pipeline.handle(exchange);
  }

  #makePipeline(): Pipeline {
    return new Pipeline(
      this.#configuration,
      this.#upstreams,
      this.#counts,
      this.#rateLimits,
      this.#caches,
      this.#bufferFolder,
      () => ({
        challenges: this.#shown.answers,
        certificates: this.#table,
        maintenance: this.#maintenance,
        used: this.usedNames,
      }),
    );
  }
}
