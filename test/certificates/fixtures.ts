import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino, type Logger } from "pino";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { EmbeddedCa } from "../../src/certificates/embedded-ca.ts";
import type {
  IssuedCertificate,
  Issuer,
  IssueRequest,
  RenewalWindow,
} from "../../src/certificates/issuer.ts";
import type { CertificateAttempt, ServedCertificate } from "../../src/certificates/status.ts";
import { CertificateManager } from "../../src/certificates/manager.ts";
import type { CertificateManagerOptions } from "../../src/certificates/manager-options.ts";
import type { HeldClock } from "./held-clock.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "paddock-certificates-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A logger whose lines can be read. */
export function listeningLogger(): { log: Logger; lines: Record<string, unknown>[]; text: () => string } {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  return {
    log: pino({ level: "debug" }, sink),
    lines,
    text: () => lines.map((line) => JSON.stringify(line)).join("\n"),
  };
}

/** A CA outside, as the manager sees it: certificates are real, by an embedded CA of its own. */
export class FakeIssuer implements Issuer {
  readonly name: string;
  /** Of its directory; without one the guard does not count. */
  directory?: string;
  preflight?: Issuer["preflight"] & {};
  underWay?: Issuer["underWay"] & {};
  readonly requests: IssueRequest[] = [];
  /** What each order does before it is answered. */
  behave: (request: IssueRequest) => Promise<void> = async () => {};
  window: (() => Promise<RenewalWindow | null>) | null = null;
  windowsAsked = 0;
  staging: FakeIssuer | null = null;
  /** Names that it certifies instead of those that it is asked for. */
  certifies: readonly string[] | null = null;
  /** At this moment, and the most ever. */
  running = 0;
  mostRunning = 0;
  readonly #ca: EmbeddedCa;

  constructor(name: string, ca: EmbeddedCa) {
    this.name = name;
    this.#ca = ca;
  }

  async issue(request: IssueRequest): Promise<IssuedCertificate> {
    this.requests.push(request);
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    try {
      await this.behave(request);
      return await this.#ca.issue(this.certifies ?? request.names);
    } finally {
      this.running -= 1;
    }
  }

  async renewalWindow(): Promise<RenewalWindow | null> {
    this.windowsAsked += 1;
    return (await this.window?.()) ?? null;
  }
}

export interface Setup extends AsyncDisposable {
  readonly storage: string;
  readonly clock: HeldClock;
  /** What the fake CAs sign with. */
  readonly ca: EmbeddedCa;
  readonly issuer: FakeIssuer;
  readonly second: FakeIssuer;
  readonly served: (readonly ServedCertificate[])[];
  readonly attempts: CertificateAttempt[];
  readonly log: ReturnType<typeof listeningLogger>;
  /** Opens a manager; the first one is open already. Opening another is a restart. */
  open(): Promise<CertificateManager>;
  /** Closes the last one. */
  close(): Promise<void>;
}

/** Two fake CAs, a storage, a held clock, and what the manager reports. */
export async function setup(
  clock: HeldClock,
  {
    random = () => 0,
    clockInterval = MINUTE,
    guard = {},
  }: {
    random?: () => number;
    clockInterval?: number;
    guard?: CertificateManagerOptions["guard"] & {};
  } = {},
): Promise<Setup> {
  const folder = await temporaryFolder();
  const outside = await temporaryFolder();
  const log = listeningLogger();
  const damaged = new DamagedFiles({ storage: outside.path, clock, log: log.log });
  const ca = await EmbeddedCa.open({ storage: outside.path, clock, damaged });
  const served: (readonly ServedCertificate[])[] = [];
  const attempts: CertificateAttempt[] = [];
  const managers: CertificateManager[] = [];
  return {
    storage: folder.path,
    clock,
    ca,
    issuer: new FakeIssuer("first", ca),
    second: new FakeIssuer("second", ca),
    served,
    attempts,
    log,
    async open() {
      await managers.at(-1)?.close();
      const manager = await CertificateManager.open({
        storage: folder.path,
        clock,
        log: log.log,
        random,
        clockInterval,
        guard,
        onServe: async (certificates) => void served.push(certificates),
        onAttempt: (attempt) => void attempts.push(attempt),
      });
      managers.push(manager);
      return manager;
    },
    async close() {
      await managers.at(-1)?.close();
    },
    async [Symbol.asyncDispose]() {
      await managers.at(-1)?.close();
      await folder[Symbol.asyncDispose]();
      await outside[Symbol.asyncDispose]();
    },
  };
}
