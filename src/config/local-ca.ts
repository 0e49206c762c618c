import { hostname } from "node:os";
import { formatListenAddress, parseListenAddress } from "./addresses.ts";
import type { AcmeServerConfiguration, Configuration } from "./configuration.ts";
import type { AssemblyContext } from "./context.ts";
import { DEFAULT_CLIENTS, DEFAULT_LISTEN, DEFAULT_NAMES } from "./local-ca-schema.ts";
import { networksOf } from "./networks.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { parseSiteName } from "./site-name.ts";

/** The embedded CA's settings; `listeners` are the other addresses that are listened on. */
export function assembleLocalCa(
  root: SectionValues,
  listeners: Configuration["listen"],
  admin: Configuration["admin"]["listen"],
  context: AssemblyContext,
): Configuration["localCa"] {
  const section = root.one["localCA"];
  if (section === undefined) return { acme: null };
  const isMapping = section.entries.get("acme")?.node.kind === "mapping";
  if (!isMapping && section.values["acme"] !== true) return { acme: null };
  const { values = {} } = (isMapping ? section.one["acme"] : undefined) ?? {};
  const names = namesOf(values["names"] ?? DEFAULT_NAMES);
  const { problems } = context;
  const listen = parseListenAddress((values["listen"] ?? DEFAULT_LISTEN) as string);
  // Refused by its format before.
  if (!("value" in listen) || "fdName" in listen.value) return { acme: null };
  const written = formatListenAddress(listen.value);
  const others = [...listeners.http, ...listeners.https, ...(admin === null ? [] : [admin])];
  if (listen.value.port !== 0 && others.some((other) => formatListenAddress(other) === written))
    problems.add(
      placeOf(section, ["acme", "listen"]),
      `localCA.acme.listen: ${written} is taken by another listener; choose another port`,
    );
  if ((values["names"] as readonly unknown[] | undefined)?.length === 0)
    problems.add(
      placeOf(section, ["acme", "names"]),
      "localCA.acme.names is empty; nothing would be certified",
    );
  const hosts = namesOf(values["hosts"] ?? []);
  const wildcard = hosts.findIndex((host) => host.startsWith("*."));
  if (wildcard >= 0)
    problems.add(
      placeOf(section, ["acme", "hosts", String(wildcard)]),
      `localCA.acme.hosts[${wildcard}]: a machine is called by one name, not by ${hosts[wildcard]}`,
    );
  const acme: AcmeServerConfiguration = {
    listen: listen.value,
    hosts: hosts.length > 0 ? hosts : ownHosts(),
    names,
    clients: networksOf((values["clients"] ?? DEFAULT_CLIENTS) as readonly unknown[]),
    httpPort: Number(values["httpPort"] ?? 80),
  };
  return { acme };
}

/** In their one spelling; those that the format refused are left out. */
function namesOf(texts: unknown): string[] {
  return [...new Set(texts as readonly unknown[])].flatMap((text) => {
    const result = typeof text === "string" ? parseSiteName(text) : undefined;
    return result !== undefined && "value" in result ? [result.value] : [];
  });
}

function ownHosts(): string[] {
  return [...new Set([...namesOf([hostname()]), "localhost", "127.0.0.1", "::1"])];
}
