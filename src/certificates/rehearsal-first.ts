import { PaddockError } from "../errors.ts";
import { isUnproven, type Issuer } from "./issuer.ts";
import type { CertificateJournal } from "./journal-event.ts";
import { rehearse, type RehearsalContext } from "./rehearsal.ts";

interface SuspectOrder {
  readonly names: readonly [string, ...string[]];
  /** The operator's wish: one order straight at production. */
  readonly direct: boolean;
  readonly journal: CertificateJournal;
  readonly signal: AbortSignal;
}

/**
 * Before an order at a CA where the last one failed for a reason that lies with the site: one at its staging
 * directory, so that a site which stays broken uses up none of production's limits (five failed authorizations per
 * name and hour at Let's Encrypt). Returns where production may be asked: also where staging is away, since a CA's
 * test system must not stand between a site and its certificate.
 *
 * @throws RehearsalFailed; the signal's reason when aborted.
 */
export async function rehearseFirst(
  { name, staging = null }: Issuer,
  order: SuspectOrder,
  context: RehearsalContext,
): Promise<void> {
  const { names, direct, journal, signal } = order;
  if (direct || staging === null || !context.rehearsals.of(names).suspect.includes(name)) return;
  const wish = { names, issuer: name, staging, journal, signal, occasion: "failure" } as const;
  const { outcome, error } = await rehearse(wish, context);
  if (outcome === "failed") throw new RehearsalFailed(name, staging.name, error ?? "");
  const how =
    outcome === "passed"
      ? `the rehearsal at ${staging.name} passed`
      : `no rehearsal at ${staging.name}, which says nothing about the site: ${error}`;
  context.log.info(
    { certificate: names[0] },
    `${how}; ${name} is asked for a certificate for ${names.join(", ")}`,
  );
}

/** Takes note of how the order at production went; an error that says nothing about the site changes nothing. */
export function noteOrder(
  { name, staging = null }: Issuer,
  names: readonly string[],
  failure: { readonly error: unknown } | null,
  { rehearsals }: RehearsalContext,
): void {
  if (failure === null) rehearsals.trust(names, name);
  else if (staging !== null && isUnproven(failure.error)) rehearsals.suspect(names, name);
}

/** The staging directory could not prove the names, so the CA itself was not asked. */
export class RehearsalFailed extends PaddockError {
  constructor(issuer: string, staging: string, why: string) {
    super("certificate.rehearsal-failed", `the rehearsal at ${staging} failed: ${why}`, {
      fix: `${issuer} itself is asked once a rehearsal passes, or by \`paddock certs renew\`.`,
    });
  }
}
