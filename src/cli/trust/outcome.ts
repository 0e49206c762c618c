/** What became of one trust store. */
export interface Outcome {
  /** What it is and where. */
  readonly store: string;
  readonly state: "added" | "already there" | "removed" | "was not there" | "failed";
  /** Where it failed: why, and what to do. */
  readonly reason?: string;
  readonly fix?: string;
}

export function outcomeLine({ store, state, reason, fix }: Outcome): string {
  const how = [state, reason].filter((part) => part !== undefined).join(": ");
  return `${store}: ${how}${fix === undefined ? "" : `; ${fix}`}`;
}
