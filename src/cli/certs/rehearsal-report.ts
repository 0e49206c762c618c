import type { RehearsalProof } from "../../certificates/rehearsal.ts";
import { wrapped } from "./certificate-table.ts";

/** How it went for one certificate; `--json` prints it as it is. */
export interface Outcome {
  readonly names: readonly string[];
  /**
   * - `passed`, `failed`: an order at the CA would do the same now
   * - `unavailable`: the staging directory was away or unwilling
   * - `nothing`: no CA is asked for this certificate
   * - `refused`: the daemon could not rehearse, for one without a staging directory
   */
  readonly verdict: "passed" | "failed" | "unavailable" | "nothing" | "refused";
  /** The staging directory, as `issuers` names it. */
  readonly issuer: string | null;
  /** Milliseconds since the epoch. */
  readonly at: number | null;
  /** What is wrong and what to do about it, or why there is nothing to rehearse. */
  readonly error: string | null;
  readonly proofs: readonly RehearsalProof[];
}

const VERDICTS: Readonly<Record<Outcome["verdict"], string>> = {
  passed: "passed",
  failed: "FAILED",
  unavailable: "came to nothing",
  nothing: "nothing to rehearse",
  refused: "not rehearsed",
};

/** The names with the verdict, then how each name was proven and what is wrong, indented. */
export function reportOf({ names, verdict, issuer, error, proofs }: Outcome): string[] {
  const head = `${names.join(", ")}: ${VERDICTS[verdict]}${issuer === null ? "" : ` at ${issuer}`}`;
  if (verdict === "nothing") return wrapped(`${head}, since ${error}`, "");
  const said = (proof: RehearsalProof): boolean =>
    !proof.proven && error?.includes(proof.error ?? "") === true;
  return [
    ...wrapped(head, ""),
    ...proofs.flatMap((proof) => wrapped(proofSentence(proof, said(proof)), "    ")),
    ...(error === null ? [] : wrapped(error, "    ")),
  ];
}

export function summaryOf(outcomes: readonly Outcome[]): string {
  const counts = Object.entries(VERDICTS).flatMap(([verdict, words]) => {
    const count = outcomes.filter((outcome) => outcome.verdict === verdict).length;
    return count === 0 ? [] : [`${count} ${words.toLowerCase()}`];
  });
  return `${outcomes.length} certificates: ${counts.join(", ") || "none"}`;
}

function proofSentence({ name, challenge, proven, error }: RehearsalProof, said: boolean): string {
  if (proven)
    return challenge === null ? `${name}: no proof was asked for` : `${name} proven by ${challenge}`;
  return `${name} not proven by ${challenge}${said ? "" : `: ${error}`}`;
}
