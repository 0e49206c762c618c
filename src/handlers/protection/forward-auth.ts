import type { ForwardAuthConfiguration, Sourced, UpstreamAddress } from "../../config/configuration.ts";
import type { Exchange } from "../../exchange/exchange.ts";
import { serializeFields } from "../../http1/fields.ts";
import type { ResponseHead } from "../../http1/response-head.ts";
import type { Backend } from "../../upstream/backend.ts";
import type { UpstreamConnection } from "../../upstream/connection.ts";
import type { ResponseSink } from "../../upstream/connection-events.ts";
import { statusOf, type UpstreamFailure } from "../../upstream/failure.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import { fieldsToPassOn } from "../forwarded-fields.ts";
import { ResponseRelay } from "../response-relay.ts";
import { changeAppFields } from "./app-fields.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";

/** Of an answer that lets the request pass; more is not worth the connection. Bytes. */
const MOST_READ = 64 * 1024;

/** What is about the request's body, or would make the answer one about a copy that the client has. */
const NOT_ASKED = /^(?:content-.*|if-.*|range)$/;

/**
 * Asks a server by a GET, with the client's fields and without its body: 2xx lets the request pass and gives the app
 * the fields that are listed; what else it says below 500 is the client's answer. Where there is no answer, or one that
 * means that the server is in trouble, the request is refused: never let through.
 */
export function forwardAuthRule(rule: Sourced<ForwardAuthConfiguration>, upstream: Upstream): Rule {
  return (exchange, pass) => new Question(exchange, rule, upstream, pass).ask(false);
}

class Question implements ResponseSink {
  readonly #exchange: Exchange;
  readonly #rule: Sourced<ForwardAuthConfiguration>;
  readonly #upstream: Upstream;
  readonly #pass: () => void;
  #backend: Backend | null = null;
  #connection: UpstreamConnection | null = null;
  #relay: ResponseRelay | null = null;
  #answered = false;
  #read = 0;

  constructor(
    exchange: Exchange,
    rule: Sourced<ForwardAuthConfiguration>,
    upstream: Upstream,
    pass: () => void,
  ) {
    this.#exchange = exchange;
    this.#rule = rule;
    this.#upstream = upstream;
    this.#pass = pass;
  }

  /** `fresh`: by a new connection, since one that was kept had been closed. */
  ask(fresh: boolean): void {
    const exchange = this.#exchange;
    exchange.onClose = () => this.#clientGone();
    // A trial always gets a connection: nothing is held for an auth server.
    const taken = this.#upstream.take(fresh, true, exchange.clientAddress);
    if (taken === null) return this.#refuse(502, "it is not there");
    this.#backend = taken.backend;
    this.#connection = taken.connection;
    taken.connection.send("GET", questionHead(exchange, this.#rule.value), null, this);
    taken.connection.finish();
  }

  inform(): void {
    // A 1xx says nothing about the request.
  }

  head(head: ResponseHead): void {
    const { status } = head;
    const exchange = this.#exchange;
    if (status >= 200 && status < 300) return this.#allow(head);
    if (status >= 500 || status === 304) {
      this.#connection?.destroy();
      this.#leave();
      return this.#refuse(502, `it answered ${status}`);
    }
    this.#answered = true;
    exchange.handler = "protection";
    exchange.failure = `refused by ${this.#name}: the auth server answered ${status}`;
    const options = {
      bufferResponse: null,
      // An auth server names no files.
      internal: [],
      finishFields: () => undefined,
      filter: (...[, , , , next]: Parameters<ResponseRelayFilter>) => next,
    };
    this.#relay = new ResponseRelay(
      exchange,
      options,
      () => this.#connection?.resume(),
      () => {
        this.#connection?.destroy();
        this.end();
      },
    );
    this.#relay.head(head);
  }

  data(data: Buffer): boolean {
    if (this.#relay !== null) return this.#relay.data(data);
    this.#read += data.length;
    if (this.#read > MOST_READ) {
      this.#connection?.destroy();
      this.#leave();
    }
    return true;
  }

  end(): void {
    this.#leave();
    this.#relay?.end();
  }

  error(failure: UpstreamFailure): void {
    const used = this.#connection?.used === true;
    const backend = this.#backend as Backend;
    this.#leave();
    if (this.#relay !== null) this.#relay.abort();
    if (this.#answered) return;
    // A GET over a connection that the server had closed meanwhile.
    if (used && !failure.begun && failure.kind === "closed") return this.ask(true);
    this.#upstream.failed(backend, failure);
    this.#refuse(statusOf(failure), failure.message);
  }

  #allow(head: ResponseHead): void {
    this.#answered = true;
    const { headers } = this.#rule.value;
    const added: string[] = [];
    for (let index = 0; index < head.fields.length; index += 2) {
      const name = head.fields[index] as string;
      // A session that the auth server made longer, or a token that it renewed.
      if (name === "set-cookie")
        this.#exchange.setCookies = [...(this.#exchange.setCookies ?? []), head.fields[index + 1] as string];
      if (headers.includes(name)) added.push(name, head.fields[index + 1] as string);
    }
    if (headers.length > 0) changeAppFields(this.#exchange, headers, added);
    this.#exchange.onClose = null;
    this.#pass();
  }

  #refuse(status: number, why: string): void {
    this.#answered = true;
    this.#exchange.onClose = null;
    const { address } = this.#rule.value;
    const reason = `${this.#name}: no answer from the auth server at ${describe(address)}: ${why}; look whether it runs`;
    refuse(this.#exchange, status, reason);
  }

  #clientGone(): void {
    this.#exchange.failure ||= "the client went away";
    this.#answered = true;
    this.#connection?.destroy();
    this.#leave();
  }

  /** The auth server has no more to do with this request. */
  #leave(): void {
    this.#connection = null;
    if (this.#backend !== null) this.#backend.inFlight--;
    this.#backend = null;
  }

  get #name(): string {
    return ruleName("forwardAuth", this.#rule.from);
  }
}

type ResponseRelayFilter = ConstructorParameters<typeof ResponseRelay>[1]["filter"];

/** With what the client asked for in X-Forwarded-*, as Traefik's forwardAuth and oauth2-proxy have it. */
function questionHead(exchange: Exchange, { address, path }: ForwardAuthConfiguration): string {
  const { clientAddress, host, method, target, id } = exchange;
  const fields = fieldsToPassOn(exchange.fields);
  const asked: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!NOT_ASKED.test(name) && name !== "x-forwarded-method" && name !== "x-forwarded-uri")
      asked.push(name, fields[index + 1] as string);
  }
  const scheme = exchange.secure ? "https" : "http";
  return (
    `GET ${path} HTTP/1.1\r\nHost: ${address.kind === "unix" ? "localhost" : describe(address)}\r\n` +
    `${serializeFields(asked)}X-Forwarded-Method: ${method}\r\nX-Forwarded-Uri: ${target}\r\n` +
    `X-Forwarded-Host: ${host}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-For: ${exchange.forwardedFor || clientAddress}\r\n` +
    `X-Real-IP: ${clientAddress}\r\nX-Request-ID: ${id}\r\n\r\n`
  );
}

function describe(address: UpstreamAddress): string {
  if (address.kind === "unix") return address.path;
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
