/** An app that agrees to WebSockets and sends back whatever bytes come; and clients for it over both protocols. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { Socket } from "node:net";
import { startRawApp } from "./app.ts";

export type TunnelProtocol = "HTTP/1.1" | "HTTP/2";

export interface EchoTunnelApp {
  /** How many have asked for a WebSocket. */
  readonly asked: () => number;
  /** Agrees to those that were made to wait, and from now on at once. */
  agree(): void;
  stop(): Promise<void>;
}

/** `wait`: nobody is agreed to before `agree`. */
export async function startEchoTunnelApp(path: string, wait = false): Promise<EchoTunnelApp> {
  const open = new Set<Socket>();
  const waiting: (() => void)[] = [];
  let holding = wait;
  let asked = 0;
  const app = await startRawApp(path, (socket, data) => {
    if (open.has(socket)) {
      socket.write(data, "latin1");
      return;
    }
    asked++;
    open.add(socket);
    const key = /^sec-websocket-key: (.*)\r$/im.exec(data)?.[1] ?? "";
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const agree = (): void => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
    };
    if (holding) waiting.push(agree);
    else agree();
  });
  return {
    asked: () => asked,
    agree: () => {
      holding = false;
      for (const agree of waiting.splice(0)) agree();
    },
    stop: () => app.stop(),
  };
}

/** A client that closes its side when the server does. */
export class EchoTunnel {
  /** The server has agreed. */
  readonly opened: Promise<void>;
  /** Both sides have closed. */
  readonly closed: Promise<unknown>;
  readonly #stream: Duplex;
  #text = "";
  #wake: (() => void) | null = null;

  private constructor(stream: Duplex, opened: Promise<void>) {
    this.#stream = stream;
    this.opened = opened;
    this.closed = once(stream, "close");
    stream.on("end", () => stream.end());
  }

  static open(protocol: TunnelProtocol, port: number, host: string): EchoTunnel {
    return protocol === "HTTP/2" ? EchoTunnel.#overHttp2(port, host) : EchoTunnel.#overHttp1(port, host);
  }

  /** Sends a text and resolves when it has come back. */
  async echo(text: string): Promise<void> {
    this.#text = "";
    this.#stream.write(text, "latin1");
    while (this.#text !== text) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #receive(text: string): void {
    this.#text += text;
    this.#wake?.();
  }

  static #overHttp1(port: number, host: string): EchoTunnel {
    const socket = connect({ host: "127.0.0.1", port, servername: host, rejectUnauthorized: false });
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = "";
    const { promise, resolve } = Promise.withResolvers<void>();
    const tunnel = new EchoTunnel(socket, promise);
    socket.setEncoding("latin1").on("data", (text: string) => {
      if (head.endsWith("\r\n\r\n")) {
        tunnel.#receive(text);
        return;
      }
      head += text;
      if (head.startsWith("HTTP/1.1 101 ") && head.endsWith("\r\n\r\n")) resolve();
    });
    return tunnel;
  }

  static #overHttp2(port: number, host: string): EchoTunnel {
    const session = connectHttp2(`https://127.0.0.1:${port}`, {
      servername: host,
      rejectUnauthorized: false,
    });
    // RFC 8441 section 3: only after the server has said that it can.
    const settled = once(session, "remoteSettings");
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "https",
      ":path": "/",
      ":authority": host,
      "sec-websocket-version": "13",
    });
    const opened = Promise.all([settled, once(stream, "response")]).then(() => undefined);
    const tunnel = new EchoTunnel(stream, opened);
    stream.setEncoding("latin1").on("data", (text: string) => tunnel.#receive(text));
    stream.on("close", () => session.close());
    return tunnel;
  }
}
