/** A Paddock daemon of the test's own, in a temporary folder and on free loopback ports. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, request, type RequestOptions } from "node:https";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "./pebble.ts";

const COMMAND = resolve(import.meta.dirname, "../../bin/paddock");

export interface PaddockOptions {
  /** YAML below `sites:` and other sections; listen, admin and storage are filled in. */
  readonly yaml: (folder: string) => string;
  /** Null for no http listener. */
  readonly httpPort?: number | null;
  readonly httpsPort?: number;
  readonly workers?: number;
  readonly folder?: string;
  /** Lines of /etc/hosts that this daemon alone sees, in a mount namespace of its own. */
  readonly hosts?: string;
  /** Another user, by number; only root may. */
  readonly asUser?: number;
  /** Variables beside this process's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export class Paddock {
  readonly folder: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly adminPort: number;
  readonly #child: ChildProcess;
  #output = "";

  static async start(options: PaddockOptions): Promise<Paddock> {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "paddock-gate-")));
    const [http, freeHttps, admin] = (await freePorts(3)) as [number, number, number];
    const httpPort = options.httpPort ?? http;
    const https = options.httpsPort ?? freeHttps;
    const plain = options.httpPort === null ? "" : `"127.0.0.1:${httpPort}"`;
    await writeFile(
      join(folder, "paddock.yaml"),
      `storage: ${folder}/store
workers: ${options.workers ?? 2}
listen: { http: [${plain}], https: ["127.0.0.1:${https}"] }
admin: { listen: "127.0.0.1:${admin}", socket: ${folder}/control.sock }
${options.yaml(folder)}
`,
    );
    if (options.hosts !== undefined) await writeFile(join(folder, "hosts"), options.hosts);
    const paddock = new Paddock(folder, httpPort, https, admin, options);
    await paddock.#serving();
    return paddock;
  }

  private constructor(
    folder: string,
    httpPort: number,
    httpsPort: number,
    adminPort: number,
    { hosts, environment, asUser }: PaddockOptions,
  ) {
    this.folder = folder;
    this.httpPort = httpPort;
    this.httpsPort = httpsPort;
    this.adminPort = adminPort;
    const run = [COMMAND, "run", "--config", join(folder, "paddock.yaml")];
    const mount = `mount --bind "${folder}/hosts" /etc/hosts && exec "$@"`;
    const root = process.geteuid?.() === 0 ? [] : ["--map-root-user"];
    const [command = "", ...args] =
      hosts !== undefined ? ["unshare", ...root, "--mount", "sh", "-c", mount, "sh", ...run] : run;
    this.#child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
      ...(asUser === undefined ? {} : { uid: asUser, gid: asUser }),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    }
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get output(): string {
    return this.#output;
  }

  get rootPath(): string {
    return join(this.folder, "store/ca/root.pem");
  }

  /** Replaces text in the configuration file. */
  async edit(change: (yaml: string) => string): Promise<void> {
    const path = join(this.folder, "paddock.yaml");
    await writeFile(path, change(await readFile(path, "utf8")));
  }

  command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return runPaddock([...args, "--config", join(this.folder, "paddock.yaml")]);
  }

  /** One request over HTTPS; `ca` is the embedded CA's root unless given. */
  async get(
    path: string,
    options: RequestOptions & { host: string; body?: Buffer } = { host: "app.test" },
  ): Promise<Answer> {
    const { host, body, ...rest } = options;
    const ca = rest.ca ?? (await readFile(this.rootPath));
    const asked = request({
      agent: new Agent({ keepAlive: false }),
      ...rest,
      ca,
      path,
      host: "127.0.0.1",
      port: this.httpsPort,
      servername: host,
      headers: { host: `${host}:${this.httpsPort}`, ...(rest.headers as object) },
    });
    asked.end(body);
    return await answerTo(asked);
  }

  async plain(
    port: number,
    path: string,
    headers: Record<string, string> = {},
    method = "GET",
  ): Promise<Answer> {
    const asked = httpRequest({ host: "127.0.0.1", port, path, headers, method, agent: false });
    asked.end();
    return await answerTo(asked);
  }

  async until(what: string, condition: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (!(await condition())) {
      if (Date.now() > end) throw new Error(`waited in vain for ${what}:\n${this.#output.slice(-4000)}`);
      await sleep(25);
    }
  }

  /**
   * SIGKILL, as the kernel's memory killer would; the folder stays for the next one. Resolves once the workers
   * have left too, so that the next one has the port for itself.
   */
  async kill(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
    await this.until("the workers to leave", async () => !(await accepts(this.httpPort)));
  }

  /** Ends it by SIGTERM and removes its folder; returns the exit code. */
  async stop(options: { keepFolder?: boolean } = {}): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), 40_000);
      await exit;
      clearTimeout(timer);
    }
    if (options.keepFolder !== true) await rm(this.folder, { recursive: true, force: true });
    return this.#child.exitCode;
  }

  async #serving(): Promise<void> {
    await this.until("the daemon to serve", () => {
      if (this.#child.exitCode !== null) throw new Error(`the daemon ended:\n${this.#output}`);
      return this.#output.includes('"serving"');
    });
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function answerTo(asked: ReturnType<typeof httpRequest>): Promise<Answer> {
  asked.setTimeout(30_000, () => asked.destroy(new Error("no answer in 30 s")));
  const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return { status: response.statusCode as number, headers: response.headers, body: Buffer.concat(parts) };
}

export async function runPaddock(
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(COMMAND, args, { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number];
  return { code, stdout, stderr };
}
