import type { HealthCheckConfiguration } from "../config/configuration.ts";
import type { Backend } from "./backend.ts";
import type { UpstreamConnection } from "./connection.ts";

/** Failed checks in a row until a backend counts as unhealthy; one that passes makes it healthy (HAProxy: fall). */
const FALL = 2;

/** Asks one backend for a path, again and again; 2xx and 3xx pass. */
export class HealthCheck {
  readonly #backend: Backend;
  readonly #options: HealthCheckConfiguration;
  readonly #changed: (state: "healthy" | "unhealthy") => void;
  readonly #preamble: Buffer | null;
  readonly #timer: NodeJS.Timeout;
  #connection: UpstreamConnection | null = null;
  #failures = 0;

  constructor(
    backend: Backend,
    options: HealthCheckConfiguration,
    preamble: Buffer | null,
    changed: (state: "healthy" | "unhealthy") => void,
  ) {
    this.#preamble = preamble;
    this.#backend = backend;
    this.#options = options;
    this.#changed = changed;
    this.#timer = setInterval(() => this.#check(), options.interval);
    this.#timer.unref();
    setImmediate(() => this.#check());
  }

  close(): void {
    clearInterval(this.#timer);
    this.#connection?.destroy();
  }

  #check(): void {
    // The check before is still under way: its own timeout will end it.
    if (this.#connection !== null) return;
    const { path, timeout, host } = this.#options;
    const connection = this.#backend.take(true, this.#preamble);
    this.#connection = connection;
    const late = setTimeout(() => {
      connection.destroy();
      done(false);
    }, timeout);
    late.unref();
    const done = (passed: boolean): void => {
      if (this.#connection !== connection) return;
      clearTimeout(late);
      this.#connection = null;
      this.#backend.inFlight--;
      this.#passed(passed);
    };
    let status = 0;
    const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Proto: https\r\nUser-Agent: paddock-health-check\r\nConnection: close\r\n\r\n`;
    connection.send("GET", head, null, {
      inform: () => undefined,
      head: (response) => (status = response.status),
      data: () => true,
      end: () => done(status >= 200 && status < 400),
      error: () => done(false),
    });
    connection.finish();
  }

  #passed(passed: boolean): void {
    this.#failures = passed ? 0 : this.#failures + 1;
    const healthy = this.#failures < FALL;
    if (healthy === this.#backend.healthy) return;
    this.#backend.healthy = healthy;
    this.#changed(healthy ? "healthy" : "unhealthy");
  }
}
