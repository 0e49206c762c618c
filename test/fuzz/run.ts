import { generator, mutate } from "./mutation.ts";
import type { Target } from "./targets.ts";

/** How many inputs there were, and how many of them the parser took for valid. */
export interface Tally {
  readonly inputs: number;
  readonly taken: number;
}

/** `where`: what repeats it, beside the bytes. */
export function breach(where: string, text: string, cause: unknown): Error {
  return new Error(`${where}: ${JSON.stringify(text)}`, { cause });
}

/** Runs inputs until `enough` says so; a breach throws with what repeats it. */
export function fuzz(target: Target, seed: number, enough: (inputs: number) => boolean): Tally {
  let taken = 0;
  let inputs = 0;
  for (; !enough(inputs); inputs++) {
    const random = generator(Math.imul(seed, 0x9e3779b1) + inputs);
    const text = mutate(target.corpus, random);
    try {
      if (target.check(text, random)) taken++;
    } catch (error) {
      throw breach(`seed ${seed}, input ${inputs}`, text, error);
    }
  }
  return { inputs, taken };
}
