/** A steady load on open and on new connections, which counts what failed. */
import { Agent, request } from "node:https";

export interface LoadTarget {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly ca: string;
  /** Every other request is a POST with this body. */
  readonly post?: Buffer;
}

export class Load {
  answered = 0;
  readonly failures: string[] = [];
  readonly #open: Agent;
  readonly #target: LoadTarget;
  readonly #timer: NodeJS.Timeout;
  #inFlight = 0;

  /** `rate`: requests a second, half of them on connections that stay open. */
  constructor(target: LoadTarget, rate: number) {
    this.#target = target;
    this.#open = new Agent({ keepAlive: true, maxSockets: 8 });
    let turn = 0;
    this.#timer = setInterval(() => {
      this.#send(turn % 2 === 0, turn % 4 < 2);
      turn++;
    }, 1000 / rate);
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const end = Date.now() + 45_000;
    while (this.#inFlight > 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    this.#open.destroy();
  }

  #send(keepAlive: boolean, mayPost: boolean): void {
    const { port, host, path, ca, post } = this.#target;
    const body = mayPost ? post : undefined;
    this.#inFlight++;
    let settled = false;
    const settle = (failure?: string): void => {
      if (settled) return;
      settled = true;
      this.#inFlight--;
      if (failure === undefined) this.answered++;
      else this.failures.push(failure);
    };
    const asked = request(
      {
        host: "127.0.0.1",
        port,
        servername: host,
        path,
        ca,
        agent: keepAlive ? this.#open : false,
        method: body === undefined ? "GET" : "POST",
        headers: { host, ...(body === undefined ? {} : { "content-length": body.length }) },
      },
      (response) => {
        response.resume();
        response.on("end", () =>
          settle(response.statusCode === 200 ? undefined : `${asked.method} status ${response.statusCode}`),
        );
        response.on("error", (error) => settle(error.message));
      },
    );
    asked.on("error", (error) =>
      settle(`${asked.method} ${asked.reusedSocket ? "reused" : "new"}: ${error.message}`),
    );
    asked.setTimeout(40_000, () => asked.destroy(new Error("timeout")));
    asked.end(body);
  }
}
