import type { IssuerConfiguration } from "./configuration.ts";
import { absolute, pathOf, type AssemblyContext } from "./context.ts";
import { variable } from "./environment.ts";
import { checkFile } from "./files.ts";
import { FormatError } from "./format.ts";
import { FORMATS } from "./formats.ts";
import { placeOf, type SectionValues } from "./section-values.ts";
import { assembleStaging, directoryOf, knownStaging } from "./staging.ts";

/** The issuers in their order: PADDOCK_ISSUER alone, or those of the file, or Let's Encrypt. */
export function assembleIssuers(root: SectionValues, context: AssemblyContext): IssuerConfiguration[] {
  const { problems, environment } = context;
  const roots = variable("PADDOCK_TRUSTED_ROOTS", environment);
  const commonRoots =
    roots === undefined
      ? null
      : checkFile(absolute(roots.text, roots.place.file, context), roots.place, problems);

  const single = variable("PADDOCK_ISSUER", environment);
  if (single !== undefined) {
    if (single.text === "local") return [{ kind: "local" }];
    try {
      FORMATS.directory.check(single.text);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      problems.add(single.place, error.message);
    }
    return [acmeIssuer(single.text, commonRoots)];
  }

  const written = root.list["issuers"];
  if (written === undefined) return [acmeIssuer("letsencrypt", commonRoots)];
  if (written.length === 0)
    problems.add(
      placeOf(root, ["issuers"]),
      "issuers is empty; remove the key for Let's Encrypt, or write - local: true",
    );
  return written.flatMap((section) => assembleIssuer(section, commonRoots, context) ?? []);
}

function assembleIssuer(
  section: SectionValues,
  commonRoots: string | null,
  context: AssemblyContext,
): IssuerConfiguration | undefined {
  const { problems } = context;
  const { values, one } = section;
  const name = values["acme"] as string | null;
  const isLocal = values["local"] === true;
  if (name === null && !isLocal) {
    problems.add(section.place, "an issuer is either acme: NAME or local: true; give one of them");
    return undefined;
  }
  if (name !== null && isLocal) {
    problems.add(placeOf(section, ["local"], true), "an issuer is either acme or local; make it two issuers");
    return undefined;
  }
  if (name === null) {
    for (const key of ["profile", "preferredChain", "trustedRoots", "eab", "staging"])
      if (section.entries.has(key))
        problems.add(placeOf(section, [key], true), `${key} means nothing to the embedded CA; remove it`);
    return { kind: "local" };
  }
  const trustedRoots =
    values["trustedRoots"] === null
      ? commonRoots
      : checkFile(pathOf(section, "trustedRoots", context), placeOf(section, ["trustedRoots"]), problems);
  return {
    ...acmeIssuer(name, trustedRoots),
    profile: values["profile"] as string | null,
    preferredChain: values["preferredChain"] as string | null,
    eab: (one["eab"]?.values ?? null) as { keyId: string; hmacKey: string } | null,
    staging: assembleStaging(section, name, context),
  };
}

function acmeIssuer(name: string, trustedRoots: string | null) {
  return {
    kind: "acme",
    name,
    directory: directoryOf(name),
    profile: null,
    preferredChain: null,
    trustedRoots,
    eab: null,
    staging: knownStaging(name),
  } as const;
}
