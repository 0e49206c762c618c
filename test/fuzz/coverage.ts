/** What of the parsers' code has run, block by block, as V8 counts it. */
import { Session, type Profiler } from "node:inspector";

const SOURCE = new URL("../../src/", import.meta.url).href;

/**
 * V8's precise coverage without counts: each look tells which blocks ran since the last one. MUST be made before the
 * parsers are imported, since what has been compiled without it is not seen.
 */
export class Coverage {
  readonly #session = new Session();
  /** Of each function, by where it begins: which of its characters have run. */
  readonly #blocks = new Map<string, Uint8Array>();
  /** Of each function: which blocks ran together in one input. */
  readonly #combinations = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: false, detailed: true });
  }

  /** How many combinations have been seen. */
  get size(): number {
    return this.#combinations.size;
  }

  /** Whether a block ran that had never run before, since the last look of either kind. */
  newBlocks(): boolean {
    let found = false;
    for (const { name, ranges } of this.#look()) {
      const [whole] = ranges as [Profiler.CoverageRange];
      const ran = new Uint8Array(whole.endOffset - whole.startOffset);
      // From the outer to the inner ones.
      for (const { startOffset, endOffset, count } of ranges)
        ran.fill(count, startOffset - whole.startOffset, endOffset - whole.startOffset);
      const before = this.#blocks.get(name);
      if (before === undefined) this.#blocks.set(name, ran);
      found ||= before === undefined || ran.some((count, at) => count > (before[at] as number));
      before?.forEach((count, at) => (before[at] = Math.max(count, ran[at] as number)));
    }
    return found;
  }

  /** Whether one input that ran since the last look took a way through a function that none has taken before. */
  newCombination(): boolean {
    const before = this.#combinations.size;
    for (const { name, ranges } of this.#look()) {
      const blocks = ranges.map(
        ({ startOffset, endOffset, count }) => `${startOffset}-${endOffset}:${count}`,
      );
      this.#combinations.add(`${name} ${blocks.join(" ")}`);
    }
    return this.#combinations.size > before;
  }

  *#look(): Generator<{ name: string; ranges: readonly Profiler.CoverageRange[] }> {
    let scripts: readonly Profiler.ScriptCoverage[] = [];
    // A session with its own thread answers before `post` returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error !== null) throw error;
      scripts = result;
    });
    for (const { url, functions } of scripts) {
      if (!url.startsWith(SOURCE)) continue;
      for (const { ranges } of functions) {
        const [whole] = ranges;
        if (whole !== undefined && whole.count > 0) yield { name: `${url}:${whole.startOffset}`, ranges };
      }
    }
  }
}
