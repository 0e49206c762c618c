import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type {
  AcmeServerOrder,
  AcmeServerReport,
  AcmeServerWish,
  ServerIdentity,
} from "../acme-server/messages.ts";
import { messageOf, PaddockError } from "../errors.ts";
import { describe } from "./listeners.ts";

const PROGRAM = realpathSync(resolve(dirname(fileURLToPath(import.meta.url)), ".."));
/** With what a symbolic link makes of it: the permission model looks at the true path. */
const MODULES = resolve(PROGRAM, "../node_modules");
const ENTRY = [resolve(PROGRAM, "acme-server/main.ts"), resolve(PROGRAM, "acme-server/main.js")].find(
  (path) => existsSync(path),
) as string;

/** Milliseconds from its start until it must listen. */
const PATIENCE = 30_000;

interface Owner {
  grant(wish: AcmeServerWish): Promise<string | null>;
  say(level: "info" | "warn", message: string, fields: object): void;
  ended(how: string): void;
}

type Start = Omit<Extract<AcmeServerOrder, { type: "start" }>, "type">;

/** A child under Node's permission model that may read its own code, use the network, and nothing else. */
export class AcmeServerProcess {
  readonly #owner: Owner;
  readonly #child: ChildProcess;
  #listening: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #where = "";

  constructor(owner: Owner) {
    this.#owner = owner;
    const folders = [PROGRAM, MODULES, ...(existsSync(MODULES) ? [realpathSync(MODULES)] : [])];
    this.#child = fork(ENTRY, [], {
      execArgv: [
        "--permission",
        "--allow-net",
        "--disable-warning=ExperimentalWarning",
        ...[...folders, resolve(PROGRAM, "../package.json")].map((path) => `--allow-fs-read=${path}`),
      ],
      env: { TZ: process.env.TZ ?? "", LANG: process.env.LANG ?? "C.UTF-8", NODE_ENV: "production" },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (report: AcmeServerReport) => this.#hear(report));
    this.#child.on("error", () => undefined);
    this.#child.on("exit", (code, signal) => {
      const how = signal ?? `code ${code}`;
      this.#listening?.reject(new PaddockError("acme-server.ended", `the ACME server ended: ${how}`));
      this.#listening = null;
      this.#owner.ended(how);
    });
  }

  /** @throws PaddockError where it cannot listen. */
  async listen(start: Start): Promise<void> {
    this.#where = describe(start.configuration.listen);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#listening = { resolve, reject };
    const timer = setTimeout(
      () => reject(new PaddockError("acme-server.silent", "the ACME server did not start in time")),
      PATIENCE,
    );
    this.#tell({ type: "start", ...start });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#listening = null;
    }
  }

  setIdentity(identity: ServerIdentity): void {
    this.#tell({ type: "identity", identity });
  }

  /** Resolves once it is gone, and its port free. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined)
      return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }

  #hear(report: AcmeServerReport): void {
    switch (report.type) {
      case "started":
        return;
      case "listening":
        this.#listening?.resolve();
        return;
      case "broken":
        this.#listening?.reject(
          new PaddockError("ERR_LISTEN", `the ACME server cannot listen on ${this.#where}: ${report.code}`, {
            fix: "choose another localCA.acme.listen, or stop the program that has it",
          }),
        );
        return;
      case "event":
        this.#owner.say(report.level, report.message, report.fields);
        return;
      case "wish": {
        const { id, wish } = report;
        this.#owner.grant(wish).then(
          (value) => this.#tell({ type: "done", id, value }),
          (error: unknown) => this.#tell({ type: "failed", id, why: messageOf(error) }),
        );
      }
    }
  }

  #tell(order: AcmeServerOrder): void {
    // A child that is gone hears nothing; its exit says the rest.
    if (this.#child.connected) this.#child.send(order, () => undefined);
  }
}
