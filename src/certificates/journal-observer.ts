import type { IssuanceStep } from "./issuer.ts";
import type { CertificateJournal } from "./journal-event.ts";
import { journalText, problemIn } from "./journal-text.ts";
import { sentenceOf } from "./sentences.ts";

/** Takes down what an issuer tells of an order under way. */
export function observerFor(journal: CertificateJournal, issuer: string): (step: IssuanceStep) => void {
  return (step) => {
    if (step.kind === "order-created") {
      journal.record({ kind: "order-created", issuer, url: journalText(step.url) });
      return;
    }
    const { name, challenge, outcome, error } = step;
    const said = { type: "about:blank", detail: journalText(sentenceOf(error)), subproblems: [] };
    const problem = outcome === "failed" ? (problemIn(error) ?? said) : null;
    journal.record({ kind: "challenge", issuer, name, challenge, outcome, problem });
  };
}
