import type { CertificateManager } from "../certificates/manager.ts";
import type { Rehearsal } from "../certificates/rehearsal.ts";
import { nameOf } from "./certificate-orders.ts";
import type { ControlCommands } from "./control-server.ts";

/** What `certs-rehearse` answers; `nothing` is the reason why there is nothing to rehearse. */
export type RehearsalAnswer = { readonly names: readonly string[] } & (
  | { readonly nothing: string }
  | { readonly rehearsal: Rehearsal }
);

/** One certificate for each call, so that whoever asks can tell how far it is. */
export function rehearsalCommand(manager: CertificateManager): ControlCommands {
  return {
    "certs-rehearse": async (order): Promise<RehearsalAnswer> => {
      const name = nameOf(order);
      const subject = manager.subjectOf(name);
      if (subject === null)
        return { names: manager.namesFor(name) ?? [name], nothing: "its certificate comes from files" };
      const { names, issuers } = subject;
      if (issuers[0] === manager.local) return { names, nothing: "the embedded CA issues its certificate" };
      return { names, rehearsal: await manager.rehearsals.now(subject) };
    },
  };
}
