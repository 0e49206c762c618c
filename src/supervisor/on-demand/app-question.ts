import { request as requestHttp, type RequestOptions } from "node:http";
import { request as requestHttps } from "node:https";
import type { AppAnswer, AskApp } from "../../certificates/on-demand/permission.ts";
import type {
  OnDemandConfiguration,
  SiteConfiguration,
  UpstreamAddress,
} from "../../config/configuration.ts";
import { messageOf, systemErrorCode } from "../../errors.ts";
import type { Logger } from "../../logging/logger.ts";
import { VERSION } from "../../version.ts";

/** From the connection to the head of the answer, milliseconds. */
const PATIENCE = 5000;

/** Statuses that are about the asking and not about the name. */
const NO_ANSWER = new Set([408, 425, 429]);

/**
 * Asks `GET …?domain=NAME`, as Caddy's `on_demand_tls ask` does: 2xx is yes. A redirect is no answer to the question and
 * is not followed; what says that the server is in trouble is no answer either. Never more than the head is read.
 */
export function appQuestion(site: SiteConfiguration, settings: OnDemandConfiguration, log: Logger): AskApp {
  let failing = false;
  const sayWhether = (name: string, why: string | null): void => {
    // A change is one line, since strangers bring the questions about.
    if (why !== null && !failing)
      log.warn(
        { name, ask: settings.ask },
        `onDemand.ask gave no answer for ${name}: ${why}; until it does, no new name gets a certificate`,
      );
    if (why === null && failing) log.info({ ask: settings.ask }, "onDemand.ask answers again");
    failing = why !== null;
  };
  return async (name) => {
    let why = "";
    for (const options of places(site, settings, name)) {
      try {
        const status = await statusFrom(options);
        if (status >= 500 || NO_ANSWER.has(status)) {
          why = `it answered ${status}`;
          break;
        }
        sayWhether(name, null);
        return answerOf(status);
      } catch (error) {
        why = systemErrorCode(error) ?? messageOf(error);
      }
    }
    sayWhether(name, why);
    return "unknown";
  };
}

function answerOf(status: number): AppAnswer {
  return status >= 200 && status < 300 ? "yes" : "no";
}

type Place = Omit<RequestOptions, "headers"> & {
  protocol: "http:" | "https:";
  headers: Record<string, string>;
};

/** Where to ask, one after the other until there is an answer. */
function places(site: SiteConfiguration, { ask }: OnDemandConfiguration, name: string): Place[] {
  const query = `domain=${encodeURIComponent(name)}`;
  if (!ask.startsWith("/")) {
    const url = new URL(ask);
    url.search = url.search === "" ? query : `${url.search}&${query}`;
    const { protocol, hostname, port, pathname, search } = url;
    return [
      {
        protocol: protocol === "https:" ? "https:" : "http:",
        host: hostname.replace(/^\[(.*)\]$/, "$1"),
        port,
        path: pathname + search,
        headers: { host: url.host },
      },
    ];
  }
  const path = `${ask}${ask.includes("?") ? "&" : "?"}${query}`;
  // As a request for the site itself, over https: else Django would refuse the host or redirect (ALLOWED_HOSTS,
  // SECURE_SSL_REDIRECT).
  const host = site.names.find((one) => !one.startsWith("*.")) ?? site.names[0].slice("*.".length);
  const headers = { host: host.includes(":") ? `[${host}]` : host, "x-forwarded-proto": "https" };
  return (site.upstream?.to ?? []).map((address) => ({
    ...socketOf(address),
    protocol: "http:",
    path,
    headers,
  }));
}

function socketOf(address: UpstreamAddress): Pick<RequestOptions, "socketPath" | "host" | "port"> {
  return address.kind === "unix" ? { socketPath: address.path } : { host: address.host, port: address.port };
}

function statusFrom(place: Place): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = place.protocol === "https:" ? requestHttps : requestHttp;
  const headers = { "user-agent": `Paddock/${VERSION}`, accept: "*/*", ...place.headers };
  const asked = request({
    ...place,
    headers,
    method: "GET",
    agent: false,
    signal: AbortSignal.timeout(PATIENCE),
  });
  asked.on("response", (response) => {
    resolve(response.statusCode ?? 0);
    response.destroy();
  });
  asked.on("error", reject);
  asked.end();
  return promise;
}
