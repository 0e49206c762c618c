/** What a path must hold for its segments to be a matter of opinion. */
const DOUBTFUL = /\\|%(?:2[ef]|5c)|\/\/|\/\.{1,2}(?:\/|$)/i;
/** Characters of a doubtful path that are worth the time; no honest one is as long. */
const LONGEST = 512;

type Step = (path: string) => string;

const decodeDots: Step = (path) => path.replace(/%2e/gi, ".");
/** A percent sign that is left when all is decoded, so that no later step takes it for the beginning of an escape. */
const PERCENT = "\ue000";
const decodeAll: Step = (path) =>
  path.includes("%")
    ? path.replace(/%(?:[0-9A-Fa-f]{2})?/g, (escape) =>
        escape === "%" || escape === "%25"
          ? PERCENT
          : String.fromCharCode(Number.parseInt(escape.slice(1), 16)),
      )
    : path;
const decodeRest: Step = (path) => decodeAll(path).replaceAll(PERCENT, "%");
const backslashesPart: Step = (path) => path.replaceAll("\\", "/");
/** Takes what follows two slashes for a host, as in a reference (RFC 3986 section 4.2). */
const withoutHost: Step = (path) => path.replace(/^\/\/[^/]*(?=\/)/, "");
const merge: Step = (path) => path.replace(/\/{2,}/g, "/");

/** RFC 3986 section 5.2.4. */
const resolveDots: Step = (path) => {
  if (!path.includes("/.")) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  for (const [index, segment] of segments.entries()) {
    const dots = segment === "." || segment === "..";
    if (segment === ".." && kept.length > 1) kept.pop();
    if (!dots) kept.push(segment);
    else if (index === segments.length - 1) kept.push("");
  }
  return kept.join("/");
};

/** In the order in which servers do it. Each line is one question; a server may do one of the steps, or none. */
const QUESTIONS: readonly (readonly Step[])[] = [
  [backslashesPart],
  [decodeDots, decodeAll],
  [backslashesPart],
  [withoutHost],
  [merge],
  [resolveDots],
];

/**
 * The paths that a target may stand for, the app's own reading first; nearly always there is one. Null where there
 * would be too many of them to look at: then it may stand for any.
 *
 * A rule for `/admin/` must hold for whatever the app takes for `/admin/`, and which servers stand behind is not known
 * here: Django sees `/%61dmin/` as `/admin/` and leaves `/x/../admin/` as it is, another resolves it. To choose one
 * reading would leave the others open, and to refuse every doubtful path would refuse honest ones (`%2F` in a name,
 * a link with two slashes). So a rule applies where any reading falls under its prefix. Escapes are decoded once:
 * that is what RFC 3986 section 2.4 lets an app do.
 */
export function pathReadings(target: string): readonly string[] | null {
  const query = target.indexOf("?");
  const path = query === -1 ? target : target.slice(0, query);
  // Gunicorn and Django decode every escape and resolve nothing.
  const ofTheApp = decodeRest(path);
  if (!DOUBTFUL.test(path)) return [ofTheApp];
  if (path.length > LONGEST) return null;
  let readings = new Set([path]);
  for (const steps of QUESTIONS) {
    const answers = new Set(readings);
    for (const reading of readings) for (const step of steps) answers.add(step(reading));
    readings = answers;
  }
  return [...new Set([ofTheApp, ...[...readings].map(decodeRest)])];
}

/** Whether the path lies below the prefix, which ends with a slash; `/admin` counts as below `/admin/`. */
export function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) || (path.length === prefix.length - 1 && prefix.startsWith(path));
}
