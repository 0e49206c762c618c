import { fork, type ChildProcess, type SendHandle } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Configuration } from "../config/configuration.ts";
import { PaddockError } from "../errors.ts";
import type { UpstreamLoad, WorkerCounts } from "../metrics/request-counts.ts";
import { removeBufferFolder } from "./buffer-folder.ts";
import { listenError, type ListeningSocket, type SocketHandle } from "./listeners.ts";
import type { TlsCertificate } from "../tls/certificate.ts";
import { certificateChanges } from "./certificate-changes.ts";
import { workerConfiguration } from "./worker-configuration.ts";
import type { WorkerOrder, WorkerReport, WorkerUsage } from "../worker-protocol.ts";

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
/** What a worker says without having been asked. */
export type OwnReport = Exclude<WorkerReport, { type: "started" | "loads" | "done" | "failed" }>;
type DoneReport = Extract<WorkerReport, { type: "done" }>;

const HERE = dirname(fileURLToPath(import.meta.url));
const PROGRAM = realpathSync(resolve(HERE, ".."));
/** With what a symbolic link makes of it: the permission model looks at the true path. */
const MODULES = resolve(PROGRAM, "../node_modules");
const ENTRY = [resolve(PROGRAM, "worker/main.ts"), resolve(PROGRAM, "worker/main.js")].find((path) =>
  existsSync(path),
) as string;

/** One worker: a child process under Node's permission model, that may read the sites' folders and its own code. */
export class WorkerProcess {
  readonly readable: readonly string[];
  readonly startedAt = Date.now();
  state: "starting" | "serving" | "draining" | "gone" = "starting";
  /** The last counts that it sent. */
  counts: WorkerCounts | null = null;
  /** By upstream, as it reported last. */
  demands: ReadonlyMap<string, UpstreamLoad> = new Map();
  readonly #child: ChildProcess;
  readonly #waiting = new Map<
    number,
    { done: (report: DoneReport) => void; failed: (error: Error) => void }
  >();
  readonly #listensOn = new Set<string>();
  /** Keys of the certificates that it was told of. */
  #serves: ReadonlySet<string> = new Set();
  readonly #started: Promise<void>;
  #nextId = 1;

  /** `bufferFolder`: where it may write files without a name, removed when it has ended; null for nowhere. */
  constructor(
    readable: readonly string[],
    bufferFolder: string | null,
    reported: (worker: WorkerProcess, report: OwnReport) => void,
    exited: (worker: WorkerProcess, how: string) => void,
  ) {
    this.readable = readable;
    const buffers = bufferFolder === null ? [] : [bufferFolder];
    const folders = [
      PROGRAM,
      MODULES,
      ...(existsSync(MODULES) ? [realpathSync(MODULES)] : []),
      resolve(PROGRAM, "../package.json"),
      ...buffers,
      ...readable,
    ];
    this.#child = fork(ENTRY, buffers, {
      execArgv: [
        "--permission",
        "--allow-net",
        // Megabytes. V8's own 32 saves no processor time that could be measured, and a worker that has read ten
        // thousand certificates, or served a burst, holds twice as much of it from then on.
        "--max-semi-space-size=8",
        "--disable-warning=ExperimentalWarning",
        ...folders.map((folder) => `--allow-fs-read=${folder}`),
        ...buffers.map((folder) => `--allow-fs-write=${folder}`),
        ...profiling(),
      ],
      // Only what a worker has to know; the environment may hold EAB keys and other secrets.
      env: { TZ: process.env.TZ ?? "", LANG: process.env.LANG ?? "C.UTF-8", NODE_ENV: "production" },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#started = new Promise((resolve, reject) => {
      this.#child.once("message", () => resolve());
      this.#child.once("exit", () =>
        reject(new PaddockError("ERR_WORKER_START", "a worker ended before it could start")),
      );
      this.#child.once("error", reject);
    });
    this.#started.catch(() => undefined);
    this.#child.on("message", (message: WorkerReport) => {
      if (message.type === "started") return;
      if (message.type === "usage" || message.type === "wanted" || message.type === "used") {
        reported(this, message);
        return;
      }
      if (message.type === "loads") {
        this.demands = new Map(Object.entries(message.loads));
        return;
      }
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.type === "failed") {
        waiting?.failed(new OrderFailed(message.code));
        return;
      }
      if (message.counts !== undefined) this.counts = message.counts;
      waiting?.done(message);
    });
    this.#child.on("error", () => undefined);
    this.#child.on("exit", (code, signal) => {
      this.state = "gone";
      for (const { failed } of this.#waiting.values())
        failed(new PaddockError("ERR_WORKER_GONE", "a worker ended"));
      this.#waiting.clear();
      for (const folder of buffers) removeBufferFolder(folder);
      exited(this, signal ?? `code ${code}`);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  started(): Promise<void> {
    return this.#started;
  }

  /** Resolves once the worker has put it in force; rejects when it ends before. */
  order(order: WithoutId<WorkerOrder>, handle?: SocketHandle): Promise<DoneReport> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.state === "gone") {
        reject(new PaddockError("ERR_WORKER_GONE", "a worker ended"));
        return;
      }
      this.#waiting.set(id, { done: resolve, failed: reject });
      this.#child.send({ ...order, id }, handle as SendHandle | undefined, (error) => {
        if (error === null) return;
        this.#waiting.delete(id);
        reject(error);
      });
    });
  }

  async configure(configuration: Configuration, ticketKeys: string): Promise<void> {
    await this.order({
      type: "configure",
      configuration: workerConfiguration(configuration),
      ticketKeys,
    });
  }

  /**
   * Makes exactly these the certificates that it serves; resolves once it does. It is told the difference only.
   *
   * @param again all of them, since something may have gone wrong with what it has.
   */
  async serve(certificates: ReadonlyMap<string, TlsCertificate>, again = false): Promise<void> {
    const changes = certificateChanges(again ? new Set() : this.#serves, certificates);
    this.#serves = new Set(certificates.keys());
    await Promise.all(changes.map((change) => this.order({ type: "certificates", ...change })));
  }

  /** Tells it what another one's clients took. */
  tellUsage(worker: number, usage: WorkerUsage): void {
    this.order({ type: "elsewhere", worker, usage }).catch(() => undefined);
  }

  /** `holds` as WantedNames has it. */
  answerWanted(name: string, holds: number): void {
    this.order({ type: "answered", name, holds }).catch(() => undefined);
  }

  setLimit(upstream: string, limit: number): void {
    this.order({ type: "limit", upstream, limit }).catch(() => undefined);
  }

  /** Gives it exactly these sockets to accept on; rejects if it cannot listen on one of them. */
  async listenOn(sockets: readonly ListeningSocket[]): Promise<void> {
    const wanted = new Set(sockets.map(({ key }) => key));
    const orders = sockets
      .filter(({ key }) => !this.#listensOn.has(key))
      .map(async (socket) => {
        const { key, listener, address, handle } = socket;
        this.#listensOn.add(key);
        try {
          await this.order({ type: "listen", key, listener }, handle);
        } catch (error) {
          this.#listensOn.delete(key);
          if (!(error instanceof OrderFailed)) throw error;
          throw listenError(error.code, address, listener);
        }
      });
    for (const key of this.#listensOn) {
      if (wanted.has(key)) continue;
      this.#listensOn.delete(key);
      orders.push(this.order({ type: "leave", key }).then(() => undefined));
    }
    await Promise.all(orders);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** The worker said that it could not. */
class OrderFailed extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** A folder that WORKER_CPU_PROF names gets the workers' CPU profiles. */
function profiling(): string[] {
  const folder = process.env.WORKER_CPU_PROF;
  return folder === undefined
    ? []
    : ["--allow-inspector", "--cpu-prof", `--cpu-prof-dir=${folder}`, `--allow-fs-write=${folder}`];
}
