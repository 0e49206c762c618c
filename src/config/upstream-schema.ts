import type { Section } from "./section.ts";

const HEALTH_CHECK: Section = {
  path: {
    doc: "What to ask the app for; 2xx and 3xx pass.",
    format: "urlPath",
    default: null,
    required: true,
  },
  interval: { doc: "Between two checks.", format: "duration", default: "10s" },
  timeout: { doc: "Longest wait for an answer.", format: "duration", default: "5s" },
  host: {
    doc: "The Host field; the first name of the site that uses the upstream unless given.",
    format: "siteName",
    default: null,
  },
};

/** One entry of `upstreams`; an upstream that a site names inline has all the defaults. */
export const UPSTREAM: Section = {
  to: {
    doc: "Where the app listens. Of several addresses the one with the fewest requests in flight gets the next.",
    format: "upstreamAddresses",
    default: [],
    required: true,
  },
  connectTimeout: {
    doc: "Longest wait for a connection to the app.",
    format: "duration",
    default: "5s",
  },
  responseTimeout: {
    doc: "Longest wait for the response head, and between two parts of the body.",
    format: "duration",
    default: "60s",
  },
  maxConcurrent: {
    doc: "Requests that the app gets at a time; others wait in a queue, clients in turn. `auto` learns it from a Unix socket's backlog.",
    format: "concurrency",
    default: "auto",
  },
  queueLength: {
    doc: "Requests that wait, in each worker; more get 503 with Retry-After.",
    format: "count",
    default: "1000",
  },
  queueTimeout: {
    doc: "Longest wait in the queue; then 503 with Retry-After.",
    format: "duration",
    default: "30s",
  },
  restartGrace: {
    doc: "While the app restarts requests wait, for as long as this after it went away.",
    format: "duration",
    default: "30s",
  },
  healthCheck: {
    doc: "Ask each address for a path, so that one that does not answer well gets no requests.",
    nested: "one",
    section: HEALTH_CHECK,
  },
  proxyProtocol: {
    doc: "Begin each connection to the app with a PROXY header, so that it knows the client's address over a Unix socket, too. `true` is version 2; Gunicorn before 24 knows `v1` alone. Each request then has a connection of its own.",
    format: "proxyProtocolVersion",
    default: "false",
  },
};
