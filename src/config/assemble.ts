import { availableParallelism } from "node:os";
import { formatListenAddress, parseListenAddress } from "./addresses.ts";
import { assembleChallenges } from "./challenge-settings.ts";
import type {
  Configuration,
  LimitConfiguration,
  ListenAddress,
  LogConfiguration,
  TimeoutConfiguration,
} from "./configuration.ts";
import { pathOf, type AssemblyContext } from "./context.ts";
import { assembleIssuers } from "./issuers.ts";
import { assembleLocalCa } from "./local-ca.ts";
import { networksOf } from "./networks.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { assembleNotify } from "./notify.ts";
import { assembleSites } from "./sites.ts";
import { assembleUpstreams } from "./upstreams.ts";

/**
 * Makes the typed, frozen configuration from the sections that passed their formats, and checks what concerns
 * more than one key. Where problems were found, before or here, the result MUST NOT be used.
 */
export function assemble(
  root: SectionValues,
  environmentSite: SectionValues | undefined,
  context: AssemblyContext,
): Configuration {
  const { values } = root;
  const admin = sectionOf(root, "admin");
  const issuers = assembleIssuers(root, context);
  const listen = assembleListeners(sectionOf(root, "listen"), admin, context);
  const proving = assembleChallenges(root, listen, context);
  const adminListen = listenAddress(admin.values["listen"]) ?? null;
  return deepFreeze({
    file: context.file,
    email: values["email"] as string | null,
    storage: pathOf(root, "storage", context),
    workers: values["workers"] === "auto" ? availableParallelism() : (values["workers"] as number),
    trustedProxies: networksOf(values["trustedProxies"] as readonly unknown[]),
    listen,
    admin: {
      listen: adminListen,
      socket: pathOf(admin, "socket", context),
    },
    log: sectionOf(root, "log").values as unknown as LogConfiguration,
    issuers,
    rehearse: values["rehearse"] === false ? null : (values["rehearse"] as number),
    challenges: proving.challenges,
    dns: proving.dns,
    localCa: assembleLocalCa(root, listen, adminListen, context),
    tls: sectionOf(root, "tls").values as unknown as Configuration["tls"],
    notify: assembleNotify(sectionOf(root, "notify"), context),
    timeouts: sectionOf(root, "timeouts").values as unknown as TimeoutConfiguration,
    limits: sectionOf(root, "limits").values as unknown as LimitConfiguration,
    shutdownTimeout: values["shutdownTimeout"] as number,
    sites: assembleSites(
      root,
      environmentSite,
      assembleUpstreams(root, context),
      { issuers, proving },
      context,
    ),
  });
}

/** A section that is there whether it was written or not, since all its keys have defaults. */
function sectionOf(root: SectionValues, key: string): SectionValues {
  const section = root.one[key];
  if (section === undefined) throw new TypeError(`the schema has no section ${key}`);
  return section;
}

/** Undefined for `false`, and for a text that its format refused. */
function listenAddress(text: unknown): ListenAddress | undefined {
  const result = typeof text === "string" ? parseListenAddress(text) : undefined;
  return result !== undefined && "value" in result ? result.value : undefined;
}

function assembleListeners(
  listen: SectionValues,
  admin: SectionValues,
  context: AssemblyContext,
): Configuration["listen"] {
  const { problems } = context;
  const users = new Map<string, string>();
  const take = (
    text: unknown,
    user: string,
    section: SectionValues,
    path: readonly string[],
  ): ListenAddress[] => {
    const address = listenAddress(text);
    if (address === undefined) return [];
    const written = formatListenAddress(address);
    const other = users.get(written);
    // Port 0 asks the kernel for a free port, so two of them do not collide.
    if (other !== undefined && !written.endsWith(":0"))
      problems.add(placeOf(section, path), `${user}: ${written} is taken by ${other}; choose another port`);
    else users.set(written, user);
    return [address];
  };
  const takeAll = (key: string): ListenAddress[] =>
    (listen.values[key] as readonly unknown[]).flatMap((text, index) =>
      take(text, `listen.${key}`, listen, [key, String(index)]),
    );
  const http = takeAll("http");
  const https = takeAll("https");
  take(admin.values["listen"], "admin.listen", admin, ["listen"]);
  const isOff = (key: string): boolean => (listen.values[key] as readonly unknown[]).length === 0;
  if (isOff("http") && isOff("https"))
    problems.add(
      placeOf(listen, ["https"]),
      "listen.http and listen.https are both empty; nothing would be served",
    );
  return { http, https, proxyProtocol: networksOf(listen.values["proxyProtocol"] as readonly unknown[]) };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
