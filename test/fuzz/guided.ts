/** Fuzzing that keeps what leads to new places, and changes that again. */
import type { Coverage } from "./coverage.ts";
import { generator, mutate } from "./mutation.ts";
import { breach, type Tally } from "./run.ts";
import type { Target } from "./targets.ts";

/** A look costs as much as some fifty inputs; so many inputs share two. */
const BATCH = 512;
/** Kept at most; the oldest go first. */
const MOST_KEPT = 1000;

export interface GuidedTally extends Tally {
  /** Inputs that took a new way, kept in memory. */
  readonly kept: number;
  readonly combinations: number;
}

/**
 * Runs batches until `enough` says so. Where a batch ran a block that none before had, each of its inputs is run again
 * by itself to find which; of each other batch one input is looked at by itself. Half of all inputs begin with one that
 * was kept. The inputs depend on what V8 reports, so a finding names its bytes and the seed of its splits.
 */
export function fuzzGuided(
  target: Target,
  seed: number,
  coverage: Coverage,
  enough: (inputs: number) => boolean,
): GuidedTally {
  const kept: string[] = [];
  let taken = 0;
  let inputs = 0;
  const check = (text: string, splits: number): void => {
    try {
      if (target.check(text, generator(splits))) taken++;
    } catch (error) {
      throw breach(`seed ${seed}, guided, splits ${splits}`, text, error);
    }
  };
  const learn = (text: string): void => {
    if (!coverage.newCombination()) return;
    kept.push(text);
    if (kept.length > MOST_KEPT) kept.shift();
  };
  while (!enough(inputs)) {
    let newBlocks = false;
    const batch: { text: string; splits: number }[] = [];
    for (let count = 0; count < BATCH; count++) {
      const splits = Math.imul(seed, 0x9e3779b1) + inputs++;
      const random = generator(splits);
      const from = kept.length > 0 && random(2) === 0 ? kept : target.corpus;
      const text = mutate(from, random);
      batch.push({ text, splits });
      check(text, splits);
      if (count === BATCH - 2) newBlocks = coverage.newBlocks();
    }
    learn((batch[BATCH - 1] as { text: string }).text);
    if (!newBlocks) continue;
    const before = taken;
    for (const { text, splits } of batch) {
      check(text, splits);
      learn(text);
    }
    taken = before;
  }
  return { inputs, taken, kept: kept.length, combinations: coverage.size };
}
