/** One instruction of a Dockerfile, its lines joined. */
export interface Instruction {
  /** Upper case. */
  readonly name: string;
  readonly arguments: string;
}

/** What follows one FROM. */
export interface Stage {
  readonly image: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

export interface Copy {
  /** The stage to copy from, or undefined for the build's context. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

/** Reads as much of a Dockerfile as ours uses: comments, continued lines, FROM … AS …. */
export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*#/.test(line))
    .join("\n")
    .replace(/\\\n\s*/g, "")
    .split("\n");
  const stages: { image: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, word, rest = ""] = /^\s*([A-Za-z]+)\s+(.*?)\s*$/.exec(line) ?? [];
    if (word === undefined) continue;
    const name = word.toUpperCase();
    const [, image, alias] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? [];
    if (name === "FROM" && image !== undefined) stages.push({ image, name: alias, instructions: [] });
    else stages.at(-1)?.instructions.push({ name, arguments: rest });
  }
  return stages;
}

export function parseCopy(text: string): Copy {
  const words = text.split(/\s+/);
  const flags = words.filter((word) => word.startsWith("--"));
  const paths = words.filter((word) => !word.startsWith("--"));
  const from = flags.find((flag) => flag.startsWith("--from="))?.slice("--from=".length);
  return { from, sources: paths.slice(0, -1), target: paths.at(-1) ?? "" };
}

/** Instructions of a name, their arguments alone. */
export function argumentsOf(stage: Stage, name: string): string[] {
  return stage.instructions.filter((each) => each.name === name).map((each) => each.arguments);
}
