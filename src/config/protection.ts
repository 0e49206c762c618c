import { readFileSync } from "node:fs";
import { parseAuthServer } from "./auth-server.ts";
import type { BasicAuthConfiguration, ForwardAuthConfiguration, Sourced } from "./configuration.ts";
import type { ProtectionConfiguration, RateLimitConfiguration } from "./configuration.ts";
import { absolute, pathOf, type AssemblyContext } from "./context.ts";
import { checkFile } from "./files.ts";
import { parseRate } from "./measures.ts";
import { parseClientNetwork } from "./networks.ts";
import { parsePasswordHash } from "./password-hash.ts";
import { placeOf, type SectionValues } from "./section-values.ts";

/** What one section says itself: null where it turns a rule off, undefined where it leaves it as it was. */
export interface OwnProtection {
  /** The URL prefix; `/` for the site. */
  readonly from: string;
  readonly deny: readonly string[] | null | undefined;
  readonly allow: readonly string[] | null | undefined;
  readonly rateLimit: RateLimitConfiguration | null | undefined;
  readonly methods: readonly string[] | null | undefined;
  readonly basicAuth: BasicAuthConfiguration | null | undefined;
  readonly forwardAuth: ForwardAuthConfiguration | null | undefined;
}

/** Reads the rules of one section, and reports what is wrong with them. */
export function ownProtection(from: string, section: SectionValues, context: AssemblyContext): OwnProtection {
  /** `null` for `false`; a value of the wrong kind has been reported and makes the result unusable anyway. */
  const inner = <T>(key: string, read: (rule: SectionValues) => T): T | null | undefined => {
    if (!section.entries.has(key)) return undefined;
    const rule = section.one[key];
    return rule === undefined ? null : read(rule);
  };
  const denied = networks(section, "deny");
  return {
    from,
    deny: denied?.length === 0 ? null : denied,
    allow: nonEmpty(section, "allow", "all lets everybody in", context, networks(section, "allow")),
    rateLimit: inner("rateLimit", rateLimit),
    methods: nonEmpty(section, "methods", "list those that the app has", context, methods(section)),
    basicAuth: inner("basicAuth", (rule) => basicAuth(rule, context)),
    forwardAuth: inner("forwardAuth", (rule) => forwardAuth(rule, context)),
  };
}

/** The rules in force where `sections` fit, the most specific first: each rule is the first that is said. */
export function inForce(sections: readonly OwnProtection[]): ProtectionConfiguration {
  const first = <T>(of: (section: OwnProtection) => T | null | undefined): Sourced<T> | null => {
    const section = sections.find((one) => of(one) !== undefined);
    const value = section === undefined ? null : of(section);
    return section === undefined || value === null || value === undefined
      ? null
      : { from: section.from, value };
  };
  return {
    deny: first((section) => section.deny),
    allow: first((section) => section.allow),
    rateLimit: first((section) => section.rateLimit),
    methods: first((section) => section.methods),
    basicAuth: first((section) => section.basicAuth),
    forwardAuth: first((section) => section.forwardAuth),
  };
}

function networks(section: SectionValues, key: string): string[] | undefined {
  if (!section.entries.has(key)) return undefined;
  return (section.values[key] as readonly unknown[]).flatMap((text) => {
    const result = typeof text === "string" ? parseClientNetwork(text) : undefined;
    return result !== undefined && "value" in result ? result.value : [];
  });
}

function methods(section: SectionValues): readonly string[] | undefined {
  if (!section.entries.has("methods")) return undefined;
  const written = section.values["methods"] as readonly string[];
  // RFC 9110 section 9.1: GET and HEAD go together.
  return [...new Set(written.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])))];
}

/** `[]` might mean nobody or everybody; a guess would be wrong for one of the two. */
function nonEmpty<T>(
  section: SectionValues,
  key: string,
  instead: string,
  context: AssemblyContext,
  value: T,
): T {
  const node = section.entries.get(key)?.node;
  if (node?.kind === "list" && node.items.length === 0)
    context.problems.add(placeOf(section, [key]), `${key} is empty; ${instead}`);
  return value;
}

function rateLimit({ values }: SectionValues): RateLimitConfiguration {
  const rate = parseRate(String(values["requests"])) ?? { requests: 1, per: 1000 };
  const key = String(values["key"]);
  return {
    ...rate,
    written: String(values["requests"]),
    burst: (values["burst"] as number | null) ?? rate.requests,
    header: key.startsWith("header:") ? key.slice("header:".length).toLowerCase() : null,
  };
}

function basicAuth(section: SectionValues, context: AssemblyContext): BasicAuthConfiguration {
  const users = new Map(section.values["users"] as readonly (readonly [string, string])[]);
  if (typeof section.values["usersFile"] === "string") readUsers(section, users, context);
  else if (section.values["usersFile"] === null && !section.entries.has("users"))
    context.problems.add(section.place, "basicAuth has no users; give users or usersFile");
  return { realm: section.values["realm"] as string, users: [...users] };
}

/** As htpasswd writes it: `name:hash` in each line; empty lines and those that begin with # are left out. */
function readUsers(section: SectionValues, users: Map<string, string>, context: AssemblyContext): void {
  const place = placeOf(section, ["usersFile"]);
  const { problems } = context;
  const path = pathOf(section, "usersFile", context);
  const text = readText(checkFile(path, place, problems));
  if (text === null) return;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const at = { file: path, line: index + 1, column: 1 };
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const parsed = parsePasswordHash(line.slice(colon + 1));
    if (name === "") problems.add(at, "must be a user name, a colon and a hash");
    else if (users.has(name)) problems.add(at, `the user ${JSON.stringify(name)} is given twice`);
    else if ("problem" in parsed) problems.add(at, `the hash of ${JSON.stringify(name)} ${parsed.problem}`);
    users.set(name, line.slice(colon + 1));
  }
  if (users.size === 0) problems.add(place, `the file ${path} has no users in it`);
}

/** Null where the file cannot be read, which its check has reported. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function forwardAuth(section: SectionValues, context: AssemblyContext): ForwardAuthConfiguration {
  const { values } = section;
  const place = placeOf(section, ["to"]);
  const parsed = parseAuthServer(String(values["to"]), absolute(".", place.file, context));
  const server =
    "value" in parsed ? parsed.value : { address: { kind: "unix", path: "" } as const, path: null };
  const path = values["path"] as string | null;
  if (path !== null && server.path !== null)
    context.problems.add(placeOf(section, ["path"], true), "path is given by to already; remove one of them");
  return {
    address: server.address,
    path: server.path ?? path ?? "/",
    headers: (values["headers"] as readonly string[]).map((name) => name.toLowerCase()),
    timeout: values["timeout"] as number,
  };
}
