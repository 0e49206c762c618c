import { ChallengeTable } from "../tls/challenge-table.ts";
import type { PendingChallenges } from "../worker-protocol.ts";

/** What this worker shows to a CA that looks. */
export class ShownChallenges {
  /** http-01: token to key authorization. */
  readonly answers: ReadonlyMap<string, string>;
  /** tls-alpn-01 */
  readonly tls: ChallengeTable;

  constructor(pending: PendingChallenges) {
    this.answers = new Map(pending.answers);
    this.tls = new ChallengeTable(pending.certificates);
  }
}
