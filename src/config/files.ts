import { accessSync, constants, statSync, type Stats } from "node:fs";
import { systemErrorCode } from "../errors.ts";
import type { Place, ProblemList } from "./problem.ts";

/** Checks that a regular file is there and readable; gives the path back, and adds a problem where it is not. */
export function checkFile(path: string, place: Place, problems: ProblemList): string {
  return check(path, place, problems, "file", constants.R_OK, (stats) => stats.isFile());
}

/** The same for a folder, which must also be open to search. */
export function checkFolder(path: string, place: Place, problems: ProblemList): string {
  return check(path, place, problems, "folder", constants.R_OK | constants.X_OK, (stats) =>
    stats.isDirectory(),
  );
}

/** A regular file that this user may run. */
export function checkProgram(path: string, place: Place, problems: ProblemList): string {
  return check(path, place, problems, "program", constants.X_OK, (stats) => stats.isFile());
}

function check(
  path: string,
  place: Place,
  problems: ProblemList,
  kind: "file" | "folder" | "program",
  mode: number,
  isKind: (stats: Stats) => boolean,
): string {
  try {
    if (isKind(statSync(path))) accessSync(path, mode);
    else problems.add(place, `${path} is no ${kind}`);
  } catch (error) {
    const code = systemErrorCode(error) ?? "unknown error";
    const reason =
      code === "ENOENT"
        ? `the ${kind} ${path} does not exist`
        : code === "EACCES"
          ? `the ${kind} ${path} may not be ${kind === "program" ? "run" : "read"} by user ${process.getuid?.() ?? "?"}; give it permission on each part of the path`
          : `the ${kind} ${path} cannot be read: ${code}`;
    problems.add(place, reason);
  }
  return path;
}
