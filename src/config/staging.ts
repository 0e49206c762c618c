import type { ExternalAccountConfiguration, StagingConfiguration } from "./issuance-configuration.ts";
import type { AssemblyContext } from "./context.ts";
import { KNOWN_DIRECTORIES, KNOWN_STAGINGS } from "./formats.ts";
import { placeOf, type SectionValues } from "./section-values.ts";

/** The URL of a short name; a URL is its own. */
export function directoryOf(name: string): string {
  return (Object.hasOwn(KNOWN_DIRECTORIES, name) ? KNOWN_DIRECTORIES[name] : undefined) ?? name;
}

/**
 * The staging directory that belongs to a CA where nothing is written of it. One that wants an account binding is
 * none: it would refuse each rehearsal, week by week.
 */
export function knownStaging(name: string): StagingConfiguration | null {
  const known = knownOf(name);
  return known === undefined || known.eab ? null : stagingOf(known.name, null);
}

/** What `staging` of an issuer says; `name` is the issuer's. */
export function assembleStaging(
  issuer: SectionValues,
  name: string,
  { problems }: AssemblyContext,
): StagingConfiguration | null {
  const written = issuer.values["staging"] as string | false | null;
  if (written === false) return null;
  const section = issuer.entries.has("staging") ? issuer.one["staging"] : undefined;
  if (written === null && section === undefined) return knownStaging(name);
  const eab = (section?.one["eab"]?.values ?? null) as ExternalAccountConfiguration | null;
  const acme = written ?? (section?.values["acme"] as string | null | undefined) ?? knownOf(name)?.name;
  if (acme === undefined) {
    problems.add(
      placeOf(issuer, ["staging"]),
      `no staging directory of ${name} is known; give its URL as staging.acme`,
    );
    return null;
  }
  if (directoryOf(acme) === directoryOf(name))
    problems.add(
      placeOf(issuer, ["staging"]),
      "staging is the directory of the issuer itself; write false where the CA has no other",
    );
  if (eab === null && Object.values(KNOWN_STAGINGS).some((known) => known.name === acme && known.eab))
    problems.add(
      placeOf(issuer, ["staging"]),
      `${acme} asks for an account binding of its own; give staging.eab`,
    );
  return stagingOf(acme, eab);
}

function stagingOf(name: string, eab: ExternalAccountConfiguration | null): StagingConfiguration {
  return { name, directory: directoryOf(name), eab };
}

function knownOf(name: string): { readonly name: string; readonly eab: boolean } | undefined {
  return Object.hasOwn(KNOWN_STAGINGS, name) ? KNOWN_STAGINGS[name] : undefined;
}
