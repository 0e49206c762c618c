/** The rows of the table: what is asked of each proxy. */
import {
  APP_WARM_UP_SECONDS,
  handshakes,
  http1,
  http2,
  idleMemory,
  webSocketMessages,
  withSlowClients,
  type Measure,
  type Target,
} from "./load.ts";
import type { Proxy } from "./proxies.ts";

export type App = "2 KB" | "uvicorn" | "sync" | "gthread";

export interface Row {
  readonly name: string;
  /** What answers behind the proxy. */
  readonly app: App;
  /** Checked once before the load: a row of error pages or redirects would be fast and mean nothing. */
  readonly path: string;
  readonly host?: string;
  readonly bytes?: number;
  readonly suits: (proxy: Proxy) => boolean;
  readonly measure: (target: Target, seconds: number) => Promise<Measure>;
}

const all = (proxy: Proxy): boolean => proxy.caches !== true;
const SMALL = "/static/small.css";
const LARGE = "/static/large.bin";
const PAGE = { path: "/whoami/", host: "app.test" };
const COMPRESSED = "/page.html";
const LONG = "/long.bin";

/** Memory comes first: it is the growth of a process that has not served yet. */
export const ROWS: readonly Row[] = [
  { name: "memory per idle connection", app: "2 KB", path: "/", suits: all, measure: idleMemory },
  {
    name: "proxied 2 KB, HTTP/1.1",
    app: "2 KB",
    path: "/",
    bytes: 2048,
    suits: all,
    measure: (target, seconds) => http1(target, "/", seconds),
  },
  {
    name: "proxied 2 KB, HTTP/2",
    app: "2 KB",
    path: "/",
    bytes: 2048,
    suits: (proxy) => proxy.http2,
    measure: (target, seconds) => http2(target, "/", seconds),
  },
  {
    name: "static 2 KB",
    app: "2 KB",
    path: SMALL,
    bytes: 2048,
    suits: (proxy) => proxy.statics,
    measure: (target, seconds) => http1(target, SMALL, seconds),
  },
  {
    name: "static 10 MB",
    app: "2 KB",
    path: LARGE,
    bytes: 10 * 1024 * 1024,
    suits: (proxy) => proxy.statics,
    measure: (target, seconds) => http1(target, LARGE, seconds),
  },
  {
    name: "cached page 2 KB",
    app: "2 KB",
    path: "/cached",
    bytes: 2048,
    suits: (proxy) => proxy.caches === true,
    measure: (target, seconds) => http1(target, "/cached", seconds),
  },
  {
    name: "full handshake",
    app: "2 KB",
    path: "/",
    suits: all,
    measure: (target, seconds) => handshakes(target, seconds, false),
  },
  {
    name: "resumed handshake",
    app: "2 KB",
    path: "/",
    suits: all,
    measure: (target, seconds) => handshakes(target, seconds, true),
  },
  {
    name: "gzip page",
    app: "2 KB",
    path: COMPRESSED,
    suits: (proxy) => proxy.compresses,
    measure: (target, seconds) => http1(target, COMPRESSED, seconds, { fields: ["Accept-Encoding: gzip"] }),
  },
  {
    name: "with 1,000 slow clients",
    app: "2 KB",
    path: "/",
    bytes: 2048,
    suits: all,
    measure: (target, seconds) => withSlowClients(target, LONG, seconds),
  },
  {
    name: "Uvicorn page",
    app: "uvicorn",
    path: "/",
    suits: all,
    measure: (target, seconds) => http1(target, "/", seconds, { warmUp: APP_WARM_UP_SECONDS }),
  },
  {
    name: "WebSocket message",
    app: "uvicorn",
    path: "/",
    suits: (proxy) => proxy.webSockets,
    measure: (target, seconds) => webSocketMessages(target, "/ws/", seconds),
  },
  ...(["sync", "gthread"] as const).map((app) => ({
    name: `Django page, ${app}`,
    app,
    ...PAGE,
    suits: all,
    measure: (target: Target, seconds: number) =>
      http1(target, PAGE.path, seconds, {
        fields: [`Host: ${PAGE.host}`],
        warmUp: APP_WARM_UP_SECONDS,
      }),
  })),
];
