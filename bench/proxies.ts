/** The proxies that are compared: how each is configured and started. One worker process and access logs for all. */
import { spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { nginxArguments, nginxGate } from "./nginx.ts";
import { startServer } from "./processes.ts";

export interface Setup {
  /** A folder of this start's own. */
  readonly home: string;
  readonly port: number;
  /** The app's Unix socket. */
  readonly upstream: string;
  readonly cert: string;
  readonly key: string;
  /** Served below /static/. */
  readonly statics: string;
}

export interface Proxy {
  readonly name: string;
  readonly http2: boolean;
  readonly statics: boolean;
  readonly compresses: boolean;
  readonly webSockets: boolean;
  /** Started with a cache of responses, for the rows of cached pages alone: the others are to pay for none. */
  readonly caches?: true;
  readonly version: () => string;
  readonly start: (setup: Setup) => ChildProcess;
}

const ROOT = resolve(import.meta.dirname, "..");

const firstLine = (command: string, argument: string): string => {
  const { stdout, stderr } = spawnSync(command, [argument], { encoding: "utf8", timeout: 10_000 });
  return `${stdout}${stderr}`.trim().split("\n")[0] ?? "";
};

function startNginx(setup: Setup, keepAlive: boolean, cache = false): ChildProcess {
  const { home } = setup;
  writeFileSync(`${home}/nginx.conf`, nginxGate({ ...setup, keepAlive, cache }));
  return startServer("nginx", nginxArguments(home), { log: `${home}/out.log`, cwd: home });
}

function startCaddy({ home, port, upstream, cert, key, statics }: Setup): ChildProcess {
  writeFileSync(
    `${home}/Caddyfile`,
    `{
  admin off
  auto_https off
}
https://localhost:${port}, https://app.test:${port} {
  bind 127.0.0.1
  tls ${cert} ${key}
  log {
    output file ${home}/access.log
  }
  encode gzip
  handle_path /static/* {
    root * ${statics}
    file_server
  }
  handle {
    reverse_proxy unix/${upstream}
  }
}
`,
  );
  return startServer("caddy", ["run", "--config", `${home}/Caddyfile`, "--adapter", "caddyfile"], {
    log: `${home}/out.log`,
    cwd: home,
    env: { HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home },
  });
}

function startHaproxy({ home, port, upstream, cert, key }: Setup): ChildProcess {
  const pem = `${home}/both.pem`;
  writeFileSync(pem, readFileSync(cert, "utf8") + readFileSync(key, "utf8"), { mode: 0o600 });
  writeFileSync(
    `${home}/haproxy.cfg`,
    `global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  compression algo gzip
  compression type text/html
  timeout client 60s
  timeout server 60s
  timeout connect 5s
frontend gate
  bind 127.0.0.1:${port} ssl crt ${pem} alpn h2,http/1.1
  http-request set-header X-Forwarded-Proto https
  default_backend app
backend app
  server app ${upstream}
`,
  );
  return startServer("haproxy", ["-db", "-f", `${home}/haproxy.cfg`], {
    log: `${home}/access.log`,
    cwd: home,
  });
}

function startHttpProxy({ home, port, upstream, cert, key }: Setup): ChildProcess {
  const script = `${import.meta.dirname}/servers/http-proxy.ts`;
  return startServer(process.execPath, [script, `${port}`, upstream, cert, key], {
    log: `${home}/access.log`,
    cwd: home,
  });
}

function startPaddock(
  { home, port, upstream, cert, key, statics }: Setup,
  cache = false,
  checkout = ROOT,
): ChildProcess {
  writeFileSync(
    `${home}/paddock.yaml`,
    `storage: ${home}/store
workers: 1
listen: { http: [], https: ["127.0.0.1:${port}"] }
admin: { listen: false, socket: ${home}/control.sock }
sites:
  - names: [localhost, app.test]
    upstream: unix:${upstream}
    certificate: { cert: ${cert}, key: ${key} }
    static: { /static/: ${statics} }
    cache: ${cache ? "{ memory: 64MB }" : "false"}
`,
  );
  mkdirSync(`${home}/store`, { mode: 0o700 });
  return startServer(`${checkout}/bin/paddock`, ["run", "--config", `${home}/paddock.yaml`], {
    log: `${home}/access.log`,
    cwd: home,
  });
}

const nginxVersion = (): string => firstLine("nginx", "-v");

/** The first one is what the others are compared with. */
export const PROXIES: readonly Proxy[] = [
  {
    name: "nginx",
    http2: true,
    statics: true,
    compresses: true,
    webSockets: true,
    version: nginxVersion,
    start: (setup) => startNginx(setup, false),
  },
  {
    name: "nginx keep-alive",
    http2: true,
    statics: true,
    compresses: true,
    webSockets: true,
    version: nginxVersion,
    start: (setup) => startNginx(setup, true),
  },
  {
    name: "Caddy",
    http2: true,
    statics: true,
    compresses: true,
    webSockets: true,
    version: () => firstLine("caddy", "version"),
    start: startCaddy,
  },
  {
    name: "HAProxy",
    http2: true,
    statics: false,
    compresses: true,
    webSockets: true,
    version: () => firstLine("haproxy", "-v"),
    start: startHaproxy,
  },
  {
    name: "http-proxy",
    http2: false,
    statics: false,
    compresses: false,
    webSockets: false,
    version: () => `http-proxy on Node ${process.version}`,
    start: startHttpProxy,
  },
  {
    name: "Paddock",
    http2: true,
    statics: true,
    compresses: true,
    webSockets: true,
    version: () => `Paddock on Node ${process.version}`,
    start: (setup) => startPaddock(setup),
  },
  {
    name: "nginx proxy_cache",
    http2: false,
    statics: false,
    compresses: false,
    webSockets: false,
    caches: true,
    version: nginxVersion,
    start: (setup) => startNginx(setup, true, true),
  },
  {
    name: "Paddock cache",
    http2: false,
    statics: false,
    compresses: false,
    webSockets: false,
    caches: true,
    version: () => `Paddock on Node ${process.version}`,
    start: (setup) => startPaddock(setup, true),
  },
];

/** Paddock of another checkout, to be compared with this one in one run: both its proxies, named by `title`. */
export function paddockOf(checkout: string, title: string): readonly Proxy[] {
  return PROXIES.filter(({ name }) => name.startsWith("Paddock")).map((proxy) => ({
    ...proxy,
    name: `${proxy.name} ${title}`,
    start: (setup) => startPaddock(setup, proxy.caches, resolve(checkout)),
  }));
}
