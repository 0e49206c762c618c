import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import { DURATION_BUCKETS, type WorkerCounts } from "./request-counts.ts";

/** One certificate's facts for metrics; seconds since the epoch, null where there is none. */
export interface CertificateFacts {
  readonly name: string;
  readonly issuer: string;
  readonly expiry: number | null;
  readonly issued: number | null;
  readonly nextAttempt: number | null;
  readonly stored: boolean;
  readonly rehearsal: { readonly passed: boolean; readonly at: number } | null;
}

interface Value {
  readonly labels: Record<string, string>;
  readonly value: number;
  readonly metricName?: string;
}

/** Prometheus' text format of what the supervisor knows and the workers counted. */
export class Exposition {
  readonly #registry = new Registry();
  readonly #attempts: Counter;
  readonly #repairs: Counter;
  readonly #expiry = this.#gauge("paddock_certificate_expiry_timestamp_seconds", "End of the certificate", [
    "name",
    "issuer",
  ]);
  readonly #issued = this.#gauge("paddock_certificate_issued_timestamp_seconds", "When it was obtained", [
    "name",
    "issuer",
  ]);
  readonly #next = this.#gauge(
    "paddock_certificate_next_attempt_timestamp_seconds",
    "Next renewal or retry",
    ["name"],
  );
  readonly #serving = this.#gauge(
    "paddock_certificate_serving",
    "1 where the served certificate is the stored one",
    ["name"],
  );

  readonly #rehearsal = this.#gauge(
    "paddock_certificate_rehearsal_success",
    "1 where the last rehearsal of an order passed, 0 where it failed",
    ["name"],
  );
  readonly #rehearsed = this.#gauge(
    "paddock_certificate_rehearsal_timestamp_seconds",
    "When the last rehearsal ended that passed or failed",
    ["name"],
  );

  readonly #limits = this.#gauge("paddock_upstream_limit", "Requests that the app gets at a time", [
    "upstream",
  ]);

  constructor(version: string) {
    collectDefaultMetrics({ register: this.#registry });
    this.#attempts = new Counter({
      name: "paddock_certificate_attempts_total",
      help: "Attempts to obtain a certificate",
      labelNames: ["name", "issuer", "outcome"],
      registers: [this.#registry],
    });
    this.#repairs = new Counter({
      name: "paddock_certificate_repairs_total",
      help: "Times that another certificate than the stored one was served, and was put right",
      labelNames: ["name"],
      registers: [this.#registry],
    });
    this.#gauge("paddock_build_info", "Always 1", ["version", "node", "openssl"]).set(
      { version, node: process.versions.node, openssl: process.versions.openssl },
      1,
    );
  }

  attempt(attempt: { readonly name: string; readonly issuer: string; readonly outcome: string }): void {
    this.#attempts.inc({ name: attempt.name, issuer: attempt.issuer, outcome: attempt.outcome });
  }

  repaired(name: string): void {
    this.#repairs.inc({ name });
  }

  async render(
    certificates: readonly CertificateFacts[],
    limits: Readonly<Record<string, number>>,
    workers: readonly WorkerCounts[],
  ): Promise<string> {
    this.#limits.reset();
    for (const [upstream, limit] of Object.entries(limits)) this.#limits.set({ upstream }, limit);
    for (const gauge of [this.#expiry, this.#issued, this.#next, this.#serving]) gauge.reset();
    for (const gauge of [this.#rehearsal, this.#rehearsed]) gauge.reset();
    for (const { name, issuer, expiry, issued, nextAttempt, stored, rehearsal } of certificates) {
      if (expiry !== null) this.#expiry.set({ name, issuer }, expiry);
      if (issued !== null) this.#issued.set({ name, issuer }, issued);
      if (nextAttempt !== null) this.#next.set({ name }, nextAttempt);
      this.#serving.set({ name }, stored ? 1 : 0);
      if (rehearsal === null) continue;
      this.#rehearsal.set({ name }, rehearsal.passed ? 1 : 0);
      this.#rehearsed.set({ name }, rehearsal.at);
    }
    const counted = AggregatorRegistry.aggregate(workers.map((counts) => metricsOf(counts) as object[]));
    return `${await this.#registry.metrics()}\n${await counted.metrics()}`;
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }
}

/** A worker's counts in the shape that prom-client gives and aggregates. */
function metricsOf(counts: WorkerCounts): unknown[] {
  return [
    metric(
      "paddock_http_requests_total",
      "Requests answered",
      "counter",
      table(counts.requests, ["site", "protocol", "method", "code"]),
    ),
    metric(
      "paddock_http_request_duration_seconds",
      "From the request's head to the response's end",
      "histogram",
      histogram(counts.durations),
    ),
    metric("paddock_http_requests_in_flight", "Requests being answered", "gauge", [
      { labels: {}, value: counts.inFlight },
    ]),
    metric(
      "paddock_upstream_requests_total",
      "Requests passed to an app",
      "counter",
      table(counts.upstream, ["upstream", "outcome"]),
    ),
    metric(
      "paddock_upstream_up",
      "0 where a worker's last request got no answer from the app",
      "gauge",
      table(counts.upstreamUp, ["upstream"]),
      "min",
    ),
    metric(
      "paddock_tls_handshakes_total",
      "Completed handshakes",
      "counter",
      table(counts.handshakes, ["version", "resumed"]),
    ),
    ...(
      [
        ["in_flight", "Requests at the app", "inFlight"],
        ["queue_length", "Requests that wait to be let to the app", "waiting"],
        ["held", "Requests that wait for the app to come back", "held"],
      ] as const
    ).map(([name, help, key]) =>
      metric(
        `paddock_upstream_${name}`,
        help,
        "gauge",
        Object.entries(counts.loads).map(([upstream, load]) => ({ labels: { upstream }, value: load[key] })),
      ),
    ),
    metric(
      "paddock_cache_requests_total",
      "Requests to a site with a cache, by what became of them",
      "counter",
      table(counts.cache, ["site", "outcome"]),
    ),
    metric(
      "paddock_cache_bytes",
      "Bytes of the stored responses",
      "gauge",
      table(counts.cacheBytes, ["site"]),
    ),
    metric("paddock_tunnels", "Open WebSockets", "gauge", table(counts.tunnels, ["upstream"])),
    metric(
      "paddock_connections_refused_total",
      "Connections closed at once, since their client had as many as limits.connectionsPerAddress",
      "counter",
      table(counts.connectionsRefused, ["listener"]),
    ),
    metric(
      "paddock_http2_connections_ended_total",
      "HTTP/2 connections ended for a flood, a breach of the protocol or a head that did not come",
      "counter",
      [{ labels: {}, value: counts.sessionsEnded }],
    ),
    metric("paddock_connections", "Open connections", "gauge", table(counts.connections, ["listener"])),
  ];
}

function metric(name: string, help: string, type: string, values: Value[], aggregator = "sum"): unknown {
  return { name, help, type, values, aggregator };
}

function table(counts: Readonly<Record<string, number>>, names: readonly string[]): Value[] {
  return Object.entries(counts).map(([key, value]) => ({ labels: labels(key, names), value }));
}

function histogram(durations: Readonly<Record<string, readonly number[]>>): Value[] {
  const name = "paddock_http_request_duration_seconds";
  return Object.entries(durations).flatMap(([key, buckets]) => {
    const own = labels(key, ["site", "handler"]);
    let sum = 0;
    const values: Value[] = [];
    for (const [index, bound] of [...DURATION_BUCKETS, "+Inf"].entries()) {
      sum += buckets[index] as number;
      values.push({ labels: { le: String(bound), ...own }, value: sum, metricName: `${name}_bucket` });
    }
    values.push({ labels: own, value: buckets.at(-1) as number, metricName: `${name}_sum` });
    values.push({ labels: own, value: sum, metricName: `${name}_count` });
    return values;
  });
}

function labels(key: string, names: readonly string[]): Record<string, string> {
  const values = key.split("\t");
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""]));
}
