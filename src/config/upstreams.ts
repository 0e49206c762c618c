import { looksLikeUpstreamAddress, parseUpstreamAddress } from "./addresses.ts";
import type { HealthCheckConfiguration, UpstreamAddress, UpstreamConfiguration } from "./configuration.ts";
import { absolute, type AssemblyContext } from "./context.ts";
import { parseDuration } from "./measures.ts";
import { didYouMean } from "./nearest.ts";
import type { Place } from "./problem.ts";
import type { Key } from "./section.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { UPSTREAM } from "./upstream-schema.ts";

/** The entries of `upstreams`; undefined for one that is there and wrong, so that using it is no second mistake. */
export type NamedUpstreams = ReadonlyMap<string, UpstreamConfiguration | undefined>;

export function assembleUpstreams(root: SectionValues, context: AssemblyContext): NamedUpstreams {
  const upstreams = new Map<string, UpstreamConfiguration | undefined>();
  const { problems } = context;
  for (const [name, section] of root.named["upstreams"] ?? []) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(name))
      problems.add(
        placeOf(root, ["upstreams", name], true),
        `upstreams: ${JSON.stringify(name)} is no name; use letters, digits, - and _`,
      );
    const to = section.values["to"] as readonly unknown[];
    if (to.length === 0 && section.entries.has("to"))
      problems.add(placeOf(section, ["to"]), `upstreams.${name}.to is empty; give the app's address`);
    const addresses = to.map((text, index) =>
      upstreamAddress(text, placeOf(section, ["to", String(index)]), context),
    );
    const known = addresses.filter((address) => address !== undefined);
    upstreams.set(name, known.length === addresses.length ? upstream(name, known, section) : undefined);
  }
  return upstreams;
}

/** The upstream of a site: an address, or the name of an entry. Null where there is none. */
export function siteUpstream(
  site: SectionValues,
  upstreams: NamedUpstreams,
  context: AssemblyContext,
): UpstreamConfiguration | null {
  const text = site.values["upstream"];
  if (typeof text !== "string") return null;
  const place = placeOf(site, ["upstream"]);
  if (looksLikeUpstreamAddress(text)) {
    const address = upstreamAddress(text, place, context);
    return address === undefined ? null : (upstream(text, [address], null) ?? null);
  }
  if (!upstreams.has(text)) {
    const hint =
      didYouMean(text, upstreams.keys()) || "; write unix:PATH, http://HOST:PORT, or add it under upstreams";
    context.problems.add(place, `there is no upstream ${JSON.stringify(text)}${hint}`);
  }
  return upstreams.get(text) ?? null;
}

/** `section`: null for one that is written inline and has all the defaults. */
function upstream(
  name: string,
  addresses: readonly UpstreamAddress[],
  section: SectionValues | null,
): UpstreamConfiguration | undefined {
  const [first, ...others] = addresses;
  if (first === undefined) return undefined;
  const value = (key: string): unknown => section?.values[key] ?? (UPSTREAM[key] as Key).default;
  const duration = (key: string): number => {
    const given = value(key);
    return typeof given === "number" ? given : (parseDuration(given as string) ?? 0);
  };
  const maxConcurrent = value("maxConcurrent");
  return {
    name,
    to: [first, ...others],
    connectTimeout: duration("connectTimeout"),
    responseTimeout: duration("responseTimeout"),
    maxConcurrent: typeof maxConcurrent === "number" ? maxConcurrent : null,
    queueLength: Number(value("queueLength")),
    queueTimeout: duration("queueTimeout"),
    restartGrace: duration("restartGrace"),
    proxyProtocol: proxyProtocolVersion(value("proxyProtocol")),
    healthCheck: (section?.one["healthCheck"]?.values ?? null) as HealthCheckConfiguration | null,
  };
}

function proxyProtocolVersion(value: unknown): 1 | 2 | null {
  if (value === "v1") return 1;
  return value === true || value === "v2" ? 2 : null;
}

/** The address in a text, or undefined where it has none, which its format has reported. */
function upstreamAddress(text: unknown, place: Place, context: AssemblyContext): UpstreamAddress | undefined {
  if (typeof text !== "string") return undefined;
  const result = parseUpstreamAddress(text, absolute(".", place.file, context));
  if ("value" in result) return result.value;
  // The format has measured the path as written; only from its folder may it be too long for a socket.
  if ("value" in parseUpstreamAddress(text, "/")) context.problems.add(place, result.problem);
  return undefined;
}
