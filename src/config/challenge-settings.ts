import { CHALLENGE_KINDS, kindsThatProve, type ChallengeKind } from "./challenges.ts";
import type { Configuration, DnsConfiguration } from "./configuration.ts";
import { pathOf, type AssemblyContext } from "./context.ts";
import { checkProgram } from "./files.ts";
import { placeOf, type SectionValues } from "./section-values.ts";

/** How names may be proven to a CA. */
export interface ChallengeSettings extends Pick<Configuration, "challenges" | "dns"> {
  /** What names are judged by: every kind where `challenges`, `dns` or `listen` is wrong itself, and has its message. */
  readonly assumed: readonly ChallengeKind[];
}

/**
 * `challenges` and `dns`. Kinds that nothing could answer, since their listener is off, are left out: they would cost
 * a failed authorization each time.
 */
export function assembleChallenges(
  root: SectionValues,
  listen: Pick<Configuration["listen"], "http" | "https">,
  context: AssemblyContext,
): ChallengeSettings {
  const dns = assembleDns(root, context);
  const written = root.entries.has("challenges");
  const texts = root.values["challenges"] as readonly unknown[];
  const kinds = CHALLENGE_KINDS.filter((kind) => texts.includes(kind)).sort(
    (a, b) => texts.indexOf(a) - texts.indexOf(b),
  );
  // Whoever names a hook and no challenges wants it to be used.
  if (!written && dns !== null) kinds.push("dns-01");
  const mistaken = [
    checkKinds(root, texts, context),
    checkDns(root, written && kinds.includes("dns-01"), written, context),
    listen.http.length + listen.https.length === 0,
  ].includes(true);
  const challenges = kinds.filter((kind) => {
    if (kind === "http-01") return listen.http.length > 0;
    return kind === "tls-alpn-01" ? listen.https.length > 0 : dns !== null;
  });
  return { challenges, dns, assumed: mistaken ? CHALLENGE_KINDS : challenges };
}

/** Whether something is wrong with `challenges`. */
function checkKinds(root: SectionValues, texts: readonly unknown[], { problems }: AssemblyContext): boolean {
  const entry = root.entries.get("challenges");
  if (entry === undefined) return false;
  if (entry.node.kind !== "list") return true;
  if (texts.length === 0)
    problems.add(
      entry.node.place,
      "challenges is empty; remove the key for http-01 and tls-alpn-01, or name what may be used",
    );
  const repeated = texts.findIndex((text, index) => texts.indexOf(text) < index);
  if (repeated >= 0)
    problems.add(
      placeOf(root, ["challenges", String(repeated)]),
      `challenges: ${String(texts[repeated])} is given twice`,
    );
  return (
    texts.length === 0 ||
    repeated >= 0 ||
    texts.some((text) => !CHALLENGE_KINDS.some((kind) => kind === text))
  );
}

/** Whether `dns` and `challenges` contradict each other. */
function checkDns(
  root: SectionValues,
  wanted: boolean,
  written: boolean,
  { problems }: AssemblyContext,
): boolean {
  const isThere = root.entries.has("dns");
  if (wanted && !isThere)
    problems.add(
      placeOf(root, ["challenges"]),
      "challenges: dns-01 needs a program that changes the DNS; set dns.hook, or remove dns-01 from the list",
    );
  if (written && isThere && !wanted)
    problems.add(
      placeOf(root, ["dns"], true),
      "dns is of no use while challenges leaves out dns-01; add it to the list, or remove dns",
    );
  return isThere ? typeof root.one["dns"]?.values["hook"] !== "string" || (written && !wanted) : wanted;
}

function assembleDns(root: SectionValues, context: AssemblyContext): DnsConfiguration | null {
  const section = root.one["dns"];
  if (section === undefined) return null;
  const { values } = section;
  const hook =
    typeof values["hook"] === "string"
      ? checkProgram(pathOf(section, "hook", context), placeOf(section, ["hook"]), context.problems)
      : "";
  const hookTimeout = values["hookTimeout"] as number;
  if (hookTimeout === 0)
    context.problems.add(placeOf(section, ["hookTimeout"]), "dns.hookTimeout must be longer than nothing");
  return {
    hook,
    hookTimeout,
    resolvers: values["resolvers"] as readonly string[],
    nameServers: values["nameServers"] as readonly string[],
    propagationTimeout: values["propagationTimeout"] as number,
  };
}

/** Why no CA could be shown that `name` is ours; null where one could. */
export function whyUnprovable(name: string, { assumed: challenges }: ChallengeSettings): string | null {
  if (kindsThatProve(name, challenges).length > 0) return null;
  const allowed = challenges.length === 0 ? "nothing that a listener answers" : challenges.join(", ");
  if (name.startsWith("*."))
    return `${name}: a CA certifies a wildcard by dns-01 only, and challenges has ${allowed}; set dns.hook and add dns-01 to challenges, name the hosts, or set certificate to local or to files`;
  if (challenges.length > 0)
    return `${name}: a CA certifies an address by http-01 or tls-alpn-01 only, and challenges has ${allowed}; add one of them, or set certificate to local or to files`;
  return `${name}: no challenge of a CA can be answered: listen.http is needed for http-01, listen.https for tls-alpn-01, dns.hook for dns-01; give one of them, or set certificate to local or to files`;
}
