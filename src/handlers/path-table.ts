import { isBelow, pathReadings } from "./path-readings.ts";

/** A site's settings by URL prefix. */
export class PathTable<T extends { readonly prefix: string }> {
  readonly #paths: readonly T[];
  readonly #everywhere: readonly [T];
  readonly #all: readonly [T, ...T[]];

  /** `paths`: the longest prefix first. `everywhere`: for what lies below none of them. */
  constructor(paths: readonly T[], everywhere: T) {
    this.#paths = paths;
    this.#everywhere = [everywhere];
    this.#all = [everywhere, ...paths];
  }

  /**
   * The settings for each way in which the target's path can be read, each once; the first is for the app's own
   * reading, and nearly always the only one.
   */
  find(target: string): readonly [T, ...T[]] {
    if (this.#paths.length === 0) return this.#everywhere;
    const readings = pathReadings(target);
    if (readings === null) return this.#all;
    const [first = "", ...others] = readings;
    const found = this.#at(first);
    return others.length === 0
      ? [found]
      : ([...new Set([found, ...others.map((path) => this.#at(path))])] as [T, ...T[]]);
  }

  #at(path: string): T {
    return this.#paths.find(({ prefix }) => isBelow(path, prefix)) ?? this.#everywhere[0];
  }
}
