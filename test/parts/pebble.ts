/**
 * Pebble from Debian's package, with real validation of http-01, tls-alpn-01 and dns-01: a CA on loopback whose DNS answers 127.0.0.1 for
 * every name. Everything that it needs is made in a temporary folder and removed by `stop()`.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import https from "node:https";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface PebbleOptions {
  /** Where Pebble fetches http-01 challenges from; a free port is chosen unless given. */
  readonly httpPort?: number;
  /** Where Pebble connects to for tls-alpn-01; a free port is chosen unless given. */
  readonly tlsPort?: number;
  /** Percent of good nonces that it refuses; 30 unless given. */
  readonly nonceReject?: number;
  /** Percent of new orders whose authorizations are reused; 0 unless given. */
  readonly authzReuse?: number;
  /** Lifetime of certificates in seconds; Pebble's default (5 years) unless given. */
  readonly certificateValidity?: number;
  /** Key id to base64url MAC key; binding is then required. */
  readonly externalAccounts?: Readonly<Record<string, string>>;
  /** Certificates in a chain above the end-entity's, without the root; 1 unless given. */
  readonly chainLength?: number;
  /** Chains to roots of their own that it offers beside the default one; none unless given. */
  readonly alternateChains?: number;
  /** Names that it refuses. */
  readonly blocked?: readonly string[];
  /** Port of the directory; the same one again makes a restart (with all its state lost). */
  readonly directoryPort?: number;
  /** The folder of an earlier one, so that its TLS root stays the same. */
  readonly folder?: string;
}

export interface Pebble {
  readonly directoryUrl: string;
  /** PEM file with the root of the directory's TLS certificate (not of the certificates that it issues). */
  readonly trustedRootsPath: string;
  readonly httpPort: number;
  readonly tlsPort: number;
  readonly directoryPort: number;
  readonly folder: string;
  /** pebble-challtestsrv's DNS, which Pebble asks: `ADDRESS:PORT`. */
  readonly dnsAddress: string;
  /** Of its management API, which changes what it answers. */
  readonly dnsManagementUrl: string;
  /** One call of it: `set-txt`, `clear-txt`, `set-cname`, `add-caa`, …; names end with a dot. */
  dns(action: string, body: Readonly<Record<string, unknown>>): Promise<void>;
  /** PEM of the root that its certificates lead to. */
  issuingRoot(): Promise<string>;
  /** Everything that it logged so far. */
  log(): string;
  /** Kills it; the folder is kept only where `keepFolder` says so. */
  stop(options?: { keepFolder?: boolean }): Promise<void>;
}

/** Below the ports that the kernel gives to those who ask for any, so that nobody is given one of ours in between. */
const [LOWEST_PORT, HIGHEST_PORT] = [10_240, 32_700];

/** Free loopback ports, all different; by chance, since other test files look for theirs at the same time. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const server = createServer();
    const opened = Promise.withResolvers<boolean>();
    server.once("error", () => opened.resolve(false));
    server.listen(randomInt(LOWEST_PORT, HIGHEST_PORT), "127.0.0.1", () => opened.resolve(true));
    if (await opened.promise) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** Starts it; once more where somebody else took one of the free ports in between. */
export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(options);
    } catch (error) {
      if (attempt === 3 || !String(error).includes("address already in use")) throw error;
    }
  }
}

async function start(options: PebbleOptions): Promise<Pebble> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "paddock-pebble-")));
  const trustedRootsPath = join(folder, "root.pem");
  if (options.folder === undefined) await makeDirectoryCertificate(folder);
  const free = await freePorts(6);
  const [freeHttp, freeDirectory, management, dns, dnsManagement, freeTls] = free as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const httpPort = options.httpPort ?? freeHttp;
  const tlsPort = options.tlsPort ?? freeTls;
  const directoryPort = options.directoryPort ?? freeDirectory;
  const configuration = {
    pebble: {
      listenAddress: `127.0.0.1:${directoryPort}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: join(folder, "server.pem"),
      privateKey: join(folder, "server-key.pem"),
      httpPort,
      tlsPort,
      ocspResponderURL: "",
      externalAccountBindingRequired: options.externalAccounts !== undefined,
      externalAccountMACKeys: options.externalAccounts ?? {},
      domainBlocklist: options.blocked ?? [],
      ...(options.certificateValidity === undefined
        ? {}
        : { certificateValidityPeriod: options.certificateValidity }),
    },
  };
  const configurationPath = join(folder, "pebble.json");
  await writeFile(configurationPath, JSON.stringify(configuration));

  const output: string[] = [];
  const { PEBBLE_VA_ALWAYS_VALID: _, ...inherited } = process.env;
  const launch = (command: string, argv: string[], env: NodeJS.ProcessEnv): ChildProcess => {
    const child = spawn(command, argv, { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text: Buffer) => output.push(text.toString()));
    child.on("error", (error) => output.push(`${command}: ${error.message}\n`));
    return child;
  };
  const off = [
    "-http01",
    "",
    "-https01",
    "",
    "-tlsalpn01",
    "",
    "-defaultIPv4",
    "127.0.0.1",
    "-defaultIPv6",
    "",
  ];
  const names = launch(
    "pebble-challtestsrv",
    [...off, "-dns01", `127.0.0.1:${dns}`, "-management", `127.0.0.1:${dnsManagement}`],
    inherited,
  );
  const authority = launch("pebble", ["-config", configurationPath, "-dnsserver", `127.0.0.1:${dns}`], {
    ...inherited,
    PEBBLE_VA_NOSLEEP: "1",
    PEBBLE_WFE_NONCEREJECT: String(options.nonceReject ?? 30),
    PEBBLE_AUTHZREUSE: String(options.authzReuse ?? 0),
    PEBBLE_CHAIN_LENGTH: String(options.chainLength ?? 1),
    PEBBLE_ALTERNATE_ROOTS: String(options.alternateChains ?? 0),
  });

  const dnsManagementUrl = `http://127.0.0.1:${dnsManagement}`;
  const directoryUrl = `https://127.0.0.1:${directoryPort}/dir`;
  const ca = await readFile(trustedRootsPath);
  const stop = async ({ keepFolder = false } = {}): Promise<void> => {
    await Promise.all([kill(authority), kill(names)]);
    if (!keepFolder) await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilAnswers(directoryUrl, ca, () => authority.exitCode === null && names.exitCode === null);
  } catch (error) {
    await stop({ keepFolder: options.folder !== undefined });
    throw new Error(`Pebble did not start:\n${output.join("")}`, { cause: error });
  }
  return {
    directoryUrl,
    trustedRootsPath,
    httpPort,
    tlsPort,
    directoryPort,
    folder,
    dnsAddress: `127.0.0.1:${dns}`,
    dnsManagementUrl,
    dns: async (action, body) => {
      const answer = await fetch(`${dnsManagementUrl}/${action}`, {
        method: "POST",
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(5000),
      });
      if (!answer.ok) throw new Error(`${action}: HTTP status ${answer.status}`);
    },
    issuingRoot: () => get(`https://127.0.0.1:${management}/roots/0`, ca),
    log: () => output.join(""),
    stop,
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

async function untilAnswers(url: string, ca: Buffer, alive: () => boolean): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await get(url, ca);
      return;
    } catch (error) {
      if (attempt === 400 || !alive()) throw error;
      await sleep(25);
    }
  }
}

async function get(url: string, ca: Buffer): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = https.get(url, { ca, agent: false, timeout: 5000 }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => (text += chunk));
    response.on("end", () => resolve(text));
    response.on("error", reject);
  });
  request.on("timeout", () => request.destroy(new Error(`${url}: no answer`)));
  request.on("error", reject);
  return await promise;
}

/** A root and a certificate for 127.0.0.1, as Pebble speaks TLS only. */
async function makeDirectoryCertificate(folder: string): Promise<void> {
  const ec = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30";
  const openssl = async (line: string): Promise<void> =>
    void (await run("openssl", line.split(" "), { cwd: folder }));
  await openssl(`${ec} -subj /CN=Paddock-test-root -keyout root-key.pem -out root.pem`);
  await openssl(
    `${ec} -subj /CN=Pebble -CA root.pem -CAkey root-key.pem -keyout server-key.pem -out server.pem` +
      " -addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE",
  );
}
