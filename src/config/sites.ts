import { isIP } from "node:net";
import { certifiesAddresses } from "./address-names.ts";
import type {
  BufferingConfiguration,
  CacheConfiguration,
  CertificateChoice,
  CookieConfiguration,
  IssuerConfiguration,
  PathConfiguration,
  SiteConfiguration,
  StaticMapping,
} from "./configuration.ts";
import { whyUnprovable, type ChallengeSettings } from "./challenge-settings.ts";
import { absolute, pathOf, type AssemblyContext } from "./context.ts";
import { readErrorPages } from "./error-pages.ts";
import { checkFile, checkFolder } from "./files.ts";
import { prefixProblem } from "./formats.ts";
import { assembleOnDemand, checkOneOnDemand } from "./on-demand.ts";
import { inForce, ownProtection, type OwnProtection } from "./protection.ts";
import { isLocalName } from "./local-names.ts";
import { nearest } from "./nearest.ts";
import type { Place } from "./problem.ts";
import { SITE_SECTION } from "./schema.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { parseSiteName } from "./site-name.ts";
import { siteUpstream, type NamedUpstreams } from "./upstreams.ts";

/** Where certificates come from, and how a CA may be shown whose the names are. */
interface Issuance {
  readonly issuers: readonly IssuerConfiguration[];
  readonly proving: ChallengeSettings;
}

/** What the checks across sites know of the names so far: which site has a name, and where it says so. */
type KnownNames = Map<string, { readonly site: SectionValues; readonly place: Place }>;

/**
 * The sites of the file, or the one of the environment. Both at once are refused: whichever won, somebody would
 * look for the other one.
 */
export function assembleSites(
  root: SectionValues,
  environmentSite: SectionValues | undefined,
  upstreams: NamedUpstreams,
  issuance: Issuance,
  context: AssemblyContext,
): SiteConfiguration[] {
  const written = root.list["sites"] ?? [];
  const { problems } = context;
  if (environmentSite !== undefined && written.length > 0)
    problems.add(
      environmentSite.place,
      `the environment describes a site, and so does ${placeOf(root, ["sites"]).file}; unset ${environmentSite.place.file.slice(1)} or remove sites`,
    );
  const sections = environmentSite === undefined ? written : [environmentSite];
  // A value of the wrong kind has its own message already.
  if (sections.length === 0 && (!root.entries.has("sites") || root.list["sites"] !== undefined))
    problems.add(
      placeOf(root, ["sites"]),
      context.file === null
        ? "there is no configuration: write paddock.yaml, or set PADDOCK_NAMES and PADDOCK_UPSTREAM"
        : "there are no sites; add one with names and upstream",
    );
  checkOneOnDemand(sections, context);
  const known: KnownNames = new Map();
  return sections.flatMap((section) => assembleSite(section, known, upstreams, issuance, context) ?? []);
}

function assembleSite(
  section: SectionValues,
  known: KnownNames,
  upstreams: NamedUpstreams,
  issuance: Issuance,
  context: AssemblyContext,
): SiteConfiguration | undefined {
  const { values, one } = section;
  const { problems } = context;
  const upstream = siteUpstream(section, upstreams, context);
  const mappings = assembleMappings("static", section, context);
  const keys = [...section.entries.keys()];
  // Among unknown keys one may have been meant to be it; its own message comes first.
  const allKnown = keys.every((key) => Object.hasOwn(SITE_SECTION, key));
  if (keys.length > 0 && allKnown && !keys.includes("upstream") && !keys.includes("static"))
    problems.add(section.place, "the site has neither upstream nor static; there is nothing to serve");
  const certificate = assembleCertificate(section, context);
  const names = assembleNames(section, known, context);
  const protection = ownProtection("/", section, context);
  checkIssuable(section, certificate, issuance, context);
  const canonical = assembleCanonical(section, names, context);
  const [first, ...others] = names;
  if (first === undefined) return undefined;
  return {
    names: [first, ...others],
    upstream,
    static: mappings,
    internal: assembleInternal(section, mappings, context),
    certificate,
    onDemand: assembleOnDemand(section, { upstream, certificate, issuers: issuance.issuers }, context),
    // `hsts: false` is a word in place of the section, which is absent then.
    hsts: (one["hsts"]?.values ?? null) as SiteConfiguration["hsts"],
    headers: Object.fromEntries(values["headers"] as [string, string | null][]),
    cookies: (section.entries.has("cookies")
      ? (one["cookies"]?.values ?? null)
      : null) as CookieConfiguration | null,
    canonical,
    maxBody: values["maxBody"] as number,
    compress: values["compress"] as boolean,
    serverTiming: values["serverTiming"] as boolean,
    cache: assembleCache(section, upstream !== null, context),
    buffering: buffering([section]),
    protection: inForce([protection]),
    paths: assemblePaths(section, protection, context),
    errors: assembleErrors(section, context),
  };
}

function assembleNames(section: SectionValues, known: KnownNames, context: AssemblyContext): string[] {
  const { problems } = context;
  const written = section.values["names"] as readonly unknown[];
  if (written.length === 0 && section.entries.get("names")?.node.kind === "list")
    problems.add(placeOf(section, ["names"]), "names is empty; give the site at least one name");
  return written.flatMap((text, index) => {
    const result = typeof text === "string" ? parseSiteName(text) : undefined;
    // Refused by its format before.
    if (result === undefined || "problem" in result) return [];
    const name = result.value;
    const place = placeOf(section, ["names", String(index)]);
    const earlier = known.get(name);
    if (earlier === undefined) known.set(name, { site: section, place });
    else if (earlier.site === section) problems.add(place, `the name ${name} is given twice`);
    else
      problems.add(
        place,
        `the name ${name} belongs to another site already (line ${earlier.place.line}); a name has one site`,
      );
    return [name];
  });
}

function assembleMappings(
  key: "static" | "internal",
  section: SectionValues,
  context: AssemblyContext,
): StaticMapping[] {
  const mappings = (section.values[key] as readonly [string, unknown][]).flatMap(([prefix, written]) => {
    if (typeof written !== "string" || written.trim() === "" || /[\x00-\x1f]/.test(written)) return [];
    const place = placeOf(section, [key, prefix]);
    return [{ prefix, folder: checkFolder(absolute(written, place.file, context), place, context.problems) }];
  });
  // Longest first, so that the first one that matches is the right one.
  return mappings.sort((a, b) => b.prefix.length - a.prefix.length);
}

function assembleErrors(section: SectionValues, context: AssemblyContext): SiteConfiguration["errors"] {
  const written = section.values["errors"];
  // What is no path has been refused by its format.
  if (typeof written !== "string" || written.trim() === "" || /[\x00-\x1f\x7f]/.test(written)) return null;
  return readErrorPages(pathOf(section, "errors", context), placeOf(section, ["errors"]), context.problems);
}

/** Refuses what would be of no use, and what would let everybody have the files that the app keeps watch over. */
function assembleInternal(
  section: SectionValues,
  publicFolders: readonly StaticMapping[],
  context: AssemblyContext,
): StaticMapping[] {
  const mappings = assembleMappings("internal", section, context);
  if (mappings.length > 0 && !section.entries.has("upstream"))
    context.problems.add(
      placeOf(section, ["internal"], true),
      "internal is of no use without upstream: the app names the files",
    );
  for (const { prefix, folder } of mappings) {
    const open = publicFolders.find((one) => `${folder}/`.startsWith(`${one.folder.replace(/\/$/, "")}/`));
    if (open === undefined) continue;
    context.problems.add(
      placeOf(section, ["internal", prefix]),
      `${folder} is in the static folder ${open.folder}, where everybody can fetch its files; move it elsewhere`,
    );
  }
  return mappings;
}

/**
 * What lies below a prefix. What it leaves out is as for the next shorter prefix, and at last as for the site: whoever
 * asks for a password below /admin/ and sets a limit below /admin/export/ means both there.
 */
function assemblePaths(
  site: SectionValues,
  siteProtection: OwnProtection,
  context: AssemblyContext,
): PathConfiguration[] {
  const paths = [...(site.named["paths"] ?? [])].map(([prefix, section]) => {
    const problem = prefixProblem(prefix);
    if (problem !== null) context.problems.add(placeOf(site, ["paths", prefix], true), `paths: ${problem}`);
    return { prefix, section, protection: ownProtection(prefix, section, context) };
  });
  paths.sort((a, b) => b.prefix.length - a.prefix.length);
  return paths.map(({ prefix }) => {
    const around = paths.filter((other) => prefix.startsWith(other.prefix));
    return {
      prefix,
      cached: !around.some(({ section }) => section.entries.has("cache")),
      buffering: buffering([...around.map(({ section }) => section), site]),
      protection: inForce([...around.map(({ protection }) => protection), siteProtection]),
    };
  });
}

/** A worker's part of less than this would hold next to nothing, bytes. */
const LEAST_CACHE = 1024 * 1024;

function assembleCache(
  site: SectionValues,
  hasApp: boolean,
  { problems }: AssemblyContext,
): CacheConfiguration | null {
  const section = site.one["cache"];
  if (section === undefined) return null;
  if (!hasApp && !site.entries.has("upstream"))
    problems.add(
      placeOf(site, ["cache"], true),
      "cache is for the app's responses, and the site has no upstream; remove it",
    );
  const memory = section.values["memory"] as number | null;
  if (typeof memory === "number" && memory < LEAST_CACHE)
    problems.add(
      placeOf(section, ["memory"]),
      "a cache of less than 1MB holds next to nothing; give it more",
    );
  return { memory: memory ?? 0 };
}

/** `sections`: the most specific first, the site last. */
function buffering(sections: readonly SectionValues[]): BufferingConfiguration {
  const value = (key: string): boolean => {
    const from = sections.find(({ one }) => one["buffering"]?.entries.has(key) === true) ?? sections.at(-1);
    return from?.one["buffering"]?.values[key] as boolean;
  };
  return { request: value("request"), response: value("response") };
}

function assembleCertificate(section: SectionValues, context: AssemblyContext): CertificateChoice {
  const files = section.one["certificate"];
  if (files === undefined) return { kind: section.values["certificate"] === "local" ? "local" : "auto" };
  const file = (key: string): string =>
    typeof files.values[key] === "string"
      ? checkFile(pathOf(files, key, context), placeOf(files, [key]), context.problems)
      : "";
  return { kind: "files", cert: file("cert"), key: file("key") };
}

/** Refuses at once what the CA would refuse at every attempt. */
function checkIssuable(
  section: SectionValues,
  certificate: CertificateChoice,
  { issuers, proving }: Issuance,
  context: AssemblyContext,
): void {
  const authorities = issuers.filter((issuer) => issuer.kind === "acme");
  const [authority] = authorities;
  if (certificate.kind !== "auto" || authority === undefined) return;
  for (const [index, name] of (section.values["names"] as readonly unknown[]).entries()) {
    const parsed = typeof name === "string" ? parseSiteName(name) : undefined;
    if (parsed === undefined || "problem" in parsed) continue;
    if (isLocalName(parsed.value)) continue;
    const reason = whyUnprovable(parsed.value, proving);
    if (reason !== null) context.problems.add(placeOf(section, ["names", String(index)]), reason);
    else if (isIP(parsed.value) !== 0 && !authorities.some(certifiesAddresses))
      context.problems.add(
        placeOf(section, ["names", String(index)]),
        `${parsed.value}: ${authority.name} certifies IP addresses under its profile shortlived only; set profile: shortlived of the issuer, or set certificate to local or to files`,
      );
  }
}

function assembleCanonical(
  section: SectionValues,
  names: readonly string[],
  context: AssemblyContext,
): string | null {
  const written = section.values["canonical"];
  const result = typeof written === "string" ? parseSiteName(written) : undefined;
  if (result === undefined || "problem" in result) return null;
  const place = placeOf(section, ["canonical"]);
  if (result.value.startsWith("*."))
    context.problems.add(place, "canonical must be one name; a redirect cannot lead to a wildcard");
  else if (!names.includes(result.value)) {
    const meant = nearest(result.value, names);
    const hint =
      meant === undefined
        ? `; choose one of ${[...new Set(names)].join(", ")}`
        : `; did you mean "${meant}"?`;
    context.problems.add(place, `canonical ${result.value} is not among the site's names${hint}`);
  }
  return result.value;
}
