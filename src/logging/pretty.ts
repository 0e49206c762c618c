/** Turns pino's JSON lines into lines for a person at a terminal; a library for it would be larger than this. */
export function prettyStream(out: { write(text: string): unknown }): { write(line: string): void } {
  return {
    write(line) {
      const { level, time, msg, fix, ...rest } = JSON.parse(line) as Record<string, unknown>;
      const clock = String(time).slice(11, 19);
      const details = Object.entries(rest)
        .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
        .join(" ");
      const advice = typeof fix === "string" ? `\n         → ${fix}` : "";
      out.write(
        `${clock} ${String(level).padEnd(5)} ${String(msg)}${details === "" ? "" : `  ${details}`}${advice}\n`,
      );
    },
  };
}
