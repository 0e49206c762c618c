import type { Exchange } from "../exchange/exchange.ts";
import type { WorkerLogger } from "../logging/logger.ts";
import type { RequestCounts } from "../metrics/request-counts.ts";

/** What is counted and logged of each request, once it is over. */
export class RequestAccount {
  readonly #counts: RequestCounts;
  readonly #logs: WorkerLogger;
  /** Whether requests are logged. */
  access: boolean;

  constructor(counts: RequestCounts, logs: WorkerLogger, access: boolean) {
    this.#counts = counts;
    this.#logs = logs;
    this.access = access;
  }

  began(exchange: Exchange): void {
    this.#counts.began();
    exchange.onSettled = (completed) => this.#settled(exchange, completed);
  }

  /** A message that never became an Exchange. */
  refused(status: number, cause: string, client: string): void {
    this.#counts.began();
    this.#counts.ended("", "codec", "HTTP", "other", status, 0);
    if (this.access) this.#logs.log.info({ client, status, cause, handler: "codec" }, "request refused");
  }

  #settled(exchange: Exchange, completed: boolean): void {
    const seconds = (Date.now() - exchange.startedAt) / 1000;
    const status = completed ? exchange.status : exchange.status || 499;
    const { site, handler, protocol, method } = exchange;
    this.#counts.ended(site, handler, protocol, method, status, seconds);
    if (!this.access) return;
    this.#logs.request({
      site,
      client: exchange.clientAddress,
      method,
      target: exchange.target,
      host: exchange.host,
      protocol,
      status,
      bytes: exchange.bytesSent,
      seconds,
      handler,
      id: exchange.id,
      broken: !completed,
      cause: exchange.failure,
    });
  }
}
