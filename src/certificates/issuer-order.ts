import type { Attempt, AttemptContext } from "./attempt.ts";
import { allHeldBack } from "./guard/held-back.ts";
import type { IssuanceGuard, OrderIntent } from "./guard/issuance-guard.ts";
import type { IssuedCertificate, Issuer } from "./issuer.ts";
import { journalText } from "./journal-text.ts";
import { observerFor } from "./journal-observer.ts";
import { rehearseFirst } from "./rehearsal-first.ts";
import type { StoredCertificate } from "./store.ts";

/**
 * One order at one issuer, and what comes before it, in this order: the guard, a rehearsal where the last order could not
 * prove a name, and for a first order the look at the names' addresses.
 *
 * @returns the certificate, and the CA's time, milliseconds since the epoch, where it told one.
 * @throws HeldBack, RehearsalFailed, and whatever the issuer says.
 */
export async function orderAt(
  issuer: Issuer,
  attempt: Attempt,
  context: AttemptContext,
): Promise<{ issued: IssuedCertificate; time: number | null }> {
  const { names, predecessor, journal, signal, force } = attempt;
  const { guard, clockDoubt } = context;
  const own = predecessor?.issuer === issuer.name ? predecessor : null;
  const intent = await intentOf(issuer, names, predecessor);
  if (!force) {
    // Asked before the rehearsal too: what the CA would refuse anyway needs none.
    const refusal = await guard.refusal(issuer, intent);
    if (refusal !== null) throw refusal;
  }
  await rehearseFirst(issuer, attempt, context);
  const admission = await guard.admit(issuer, intent, force);
  try {
    if (predecessor === null && !force) await lookFirst(issuer, attempt, context);
    journal.record({ kind: "order-begun", issuer: issuer.name });
    const note = observerFor(journal, issuer.name);
    const observe: typeof note = (step) => {
      admission.observe(step);
      note(step);
    };
    let time: number | null = null;
    const heardTime = (heard: number): void => {
      time = heard;
      clockDoubt.hear(issuer.name, heard);
      clockDoubt.refuseUntimely(issuer.name, predecessor, heard);
    };
    const issued = await issuer.issue({ names, replaces: own?.chain ?? null, signal, observe, heardTime });
    admission.issued();
    return { issued, time };
  } catch (error) {
    admission.failed(error);
    throw error;
  }
}

/** @throws HeldBack where none of the issuers may be asked now. */
export async function refuseIfHeld(
  { names, issuers, predecessor }: Pick<Attempt, "names" | "issuers" | "predecessor">,
  guard: IssuanceGuard,
): Promise<void> {
  const asked = issuers.map(async (issuer) =>
    guard.refusal(issuer, await intentOf(issuer, names, predecessor)),
  );
  const refusal = allHeldBack(await Promise.all(asked));
  if (refusal !== null) throw refusal;
}

/** @param predecessor the stored one, whoever made it. */
async function intentOf(
  issuer: Issuer,
  names: readonly string[],
  predecessor: StoredCertificate | null,
): Promise<OrderIntent> {
  const own = predecessor?.issuer === issuer.name ? predecessor : null;
  const wished = (own?.renewal ?? null) !== null;
  // The CA has taken that order already, before a crash or a shutdown.
  const begun = (await issuer.underWay?.(names, predecessor?.key ?? null)) === true;
  return { names, renewal: own !== null, unlimited: wished || begun };
}

/** What cannot be seen from outside may still be seen by the CA, so most of it is only said; see the issuer. */
async function lookFirst(issuer: Issuer, attempt: Attempt, { log }: AttemptContext): Promise<void> {
  const { names, journal, signal, awaited, onWarnings } = attempt;
  if (issuer.preflight === undefined) return;
  // A stranger's server has a say in these sentences, and they are shown in terminals.
  const warnings = (await issuer.preflight(names, !awaited, signal)).map(journalText);
  onWarnings(warnings);
  for (const warning of warnings) {
    journal.record({ kind: "preflight", issuer: issuer.name, warning });
    log.warn({ certificate: names[0] }, `before the order at ${issuer.name}: ${warning}`);
  }
}
