/** An app on a Unix socket that answers each path with what the test has written for it. */
import type { Socket } from "node:net";
import { startRawApp } from "./app.ts";

export interface ScriptedAnswer {
  readonly status?: number;
  /** Field lines, `Name: value`. */
  readonly fields?: readonly string[];
  readonly body?: string;
}

export interface ScriptedRequest {
  readonly method: string;
  readonly target: string;
  /** Lower case names. */
  readonly fields: ReadonlyMap<string, string>;
}

type Answering = (request: ScriptedRequest) => ScriptedAnswer | Promise<ScriptedAnswer>;

export class ScriptedApp {
  readonly requests: ScriptedRequest[] = [];
  readonly #answers = new Map<string, Answering>();
  #server: { stop(): Promise<void> } | null = null;

  static async start(path: string): Promise<ScriptedApp> {
    const app = new ScriptedApp();
    app.#server = await startRawApp(path, (socket, head) => void app.#take(socket, head));
    return app;
  }

  /** `path` without its query. */
  on(path: string, answer: Answering): void {
    this.#answers.set(path, answer);
  }

  /** The requests for a path so far. */
  asked(path: string): ScriptedRequest[] {
    return this.requests.filter(({ target }) => target.split("?")[0] === path);
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async #take(socket: Socket, head: string): Promise<void> {
    const [line = "", ...lines] = (head.split("\r\n\r\n")[0] ?? "").split("\r\n");
    const [method = "", target = ""] = line.split(" ");
    const fields = new Map(
      lines.map((text) => {
        const colon = text.indexOf(":");
        return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const;
      }),
    );
    const request = { method, target, fields };
    this.requests.push(request);
    const answer = this.#answers.get(target.split("?")[0] ?? "");
    const { status = 200, fields: more = [], body = "" } = (await answer?.(request)) ?? { status: 404 };
    const bodiless = method === "HEAD" || status === 204 || status === 304;
    const length = status === 304 || status === 204 ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
    socket.write(
      `HTTP/1.1 ${status} Said\r\n${[...more, ...length].map((text) => `${text}\r\n`).join("")}\r\n${bodiless ? "" : body}`,
    );
  }
}
