import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { ListenAddress } from "../config/configuration.ts";
import type { JournalEntry } from "../certificates/journal-event.ts";
import { messageOf, PaddockError, systemErrorCode } from "../errors.ts";
import { statusPage } from "../status-page/page.ts";
import { describe } from "./listeners.ts";
import type { DaemonStatus } from "./status.ts";
import { socketFromSystemd } from "./systemd.ts";

export interface AdminSources {
  status(): DaemonStatus;
  metrics(): Promise<string>;
  /** The last entries of the journals, by the certificate's first name. */
  recent(): Promise<ReadonlyMap<string, readonly JournalEntry[]>>;
}

/**
 * /metrics, /healthz, /readyz and the status page. Node's own HTTP server is good enough here: it is bound to
 * loopback and sees a scrape every few seconds.
 */
export function openAdminListener(address: ListenAddress, sources: AdminSources): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response, sources).catch((error: unknown) => {
      if (!response.headersSent) reply(response, 500, "text/plain; charset=utf-8", `${messageOf(error)}\n`);
      else response.destroy();
    });
  });
  const where = "fdName" in address ? { fd: socketFromSystemd(address.fdName) } : address;
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new PaddockError(
          "ERR_ADMIN_LISTEN",
          `cannot listen on ${describe(address)}: ${systemErrorCode(error)}`,
          {
            fix: "change admin.listen, or stop the program that has it",
            cause: error,
          },
        ),
      ),
    );
    server.listen(where, () => resolve(server));
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  sources: AdminSources,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return reply(response, 405, "text/plain; charset=utf-8", "only GET and HEAD\n");
  }
  switch ((request.url ?? "/").split("?")[0]) {
    case "/metrics":
      return reply(response, 200, "text/plain; version=0.0.4; charset=utf-8", await sources.metrics());
    case "/healthz":
      return reply(response, 200, "text/plain; charset=utf-8", "ok\n");
    case "/readyz": {
      const { ready } = sources.status();
      return reply(
        response,
        ready ? 200 : 503,
        "text/plain; charset=utf-8",
        ready ? "ready\n" : "no site has a usable certificate yet\n",
      );
    }
    case "/":
      return reply(
        response,
        200,
        "text/html; charset=utf-8",
        statusPage(sources.status(), await sources.recent()),
      );
    default:
      return reply(
        response,
        404,
        "text/plain; charset=utf-8",
        "there are /, /metrics, /healthz and /readyz\n",
      );
  }
}

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "Content-Type": type,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
  });
  response.end(body);
}
