import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { messageOf, PaddockError } from "../errors.ts";

/** The command line was not understood; exit code 2. */
export class UsageError extends PaddockError {
  constructor(message: string, usage: string) {
    super("ERR_USAGE", message, { fix: `usage: paddock ${usage}` });
  }
}

/** Reads options strictly: what is not known is refused. */
export function readArguments<T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  usage: string,
  options: T,
  positionals = 0,
): { values: ReturnType<typeof parseArgs<{ args: string[]; options: T }>>["values"]; positionals: string[] } {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: positionals > 0, strict: true });
  } catch (error) {
    throw new UsageError(messageOf(error).split("\n")[0]?.split(". ")[0] ?? "", usage);
  }
  if (parsed.positionals.length > positionals)
    throw new UsageError(`"${parsed.positionals[positionals]}" is one too many`, usage);
  return parsed;
}
