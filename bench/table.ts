/** The results as Markdown: value and, in parentheses, its ratio to the first proxy. */
import type { Measure } from "./load.ts";

export interface Result {
  readonly row: string;
  readonly proxy: string;
  readonly measure?: Measure;
  /** Why there is no measure. */
  readonly failure?: string;
}

interface Column {
  readonly title: string;
  readonly key: keyof Measure;
  readonly show: (value: number) => string;
}

const COLUMNS: readonly Column[] = [
  { title: "CPU µs each", key: "cpuMicroseconds", show: (value) => value.toFixed(value < 1000 ? 1 : 0) },
  { title: "per second", key: "perSecond", show: (value) => value.toFixed(value < 1000 ? 1 : 0) },
  { title: "p99 ms", key: "p99Milliseconds", show: (value) => value.toFixed(2) },
  { title: "KB each", key: "bytesPerConnection", show: (value) => (value / 1024).toFixed(1) },
];

/** One result for each row and proxy: of each number the median of the rounds, or the first failure. */
export function medians(results: readonly Result[]): Result[] {
  const groups = Map.groupBy(results, ({ row, proxy }) => `${row}\n${proxy}`);
  return [...groups.values()].map((group) => {
    const [first] = group as [Result];
    const failed = group.find(({ failure }) => failure !== undefined);
    if (failed !== undefined || first.measure === undefined) return failed ?? first;
    const measure = { ...first.measure };
    for (const { key } of COLUMNS) {
      const all = group.flatMap((result) => result.measure?.[key] ?? []).sort((a, b) => a - b);
      const middle = all[Math.floor((all.length - 1) / 2)];
      if (middle !== undefined) measure[key] = middle;
    }
    return { ...first, measure };
  });
}

export function table(results: readonly Result[], baseline: string): string {
  const lines = [
    `| | | ${COLUMNS.map(({ title }) => title).join(" | ")} |`,
    `| --- | --- | ${COLUMNS.map(() => "--:").join(" | ")} |`,
  ];
  let last = "";
  for (const { row, proxy, measure, failure } of results) {
    const base = results.find((other) => other.row === row && other.proxy === baseline)?.measure;
    const cells = COLUMNS.map(({ key, show }) => {
      const value = measure?.[key];
      if (value === undefined) return "";
      const reference = base?.[key];
      return reference === undefined || reference <= 0
        ? show(value)
        : `${show(value)} (${(value / reference).toFixed(2)})`;
    });
    const name = failure === undefined ? proxy : `${proxy}: ${failure.replace(/\s+/g, " ").slice(0, 120)}`;
    lines.push(`| ${row === last ? "" : row} | ${name} | ${cells.join(" | ")} |`);
    last = row;
  }
  return lines.join("\n");
}
