/**
 * Writes docs/configuration.md from the schema, so that the page cannot say anything but what the code does.
 * `--check` writes nothing and exits 1 where the page is not the one that would be written.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FORMATS } from "../src/config/formats.ts";
import { ROOT, SHORTCUTS } from "../src/config/schema.ts";
import { isNested, type Key, type Nested, type Section } from "../src/config/section.ts";

const PAGE = join(import.meta.dirname, "configuration.md");
const MINIMAL = join(import.meta.dirname, "../config/paddock.minimal.yaml");

/** The whole page, with its final newline. */
export function configurationPage(): string {
  const parts = [introduction(), sectionParts("##", "The top level", "", ROOT, "")];
  return `${parts.flat().join("\n\n")}\n\n${variables()}\n`;
}

function introduction(): string {
  return `# Configuration

<!-- Written by docs/generate.ts from src/config/schema.ts. Change it there, then run: npm run docs -->

Six lines are enough:

\`\`\`yaml
${readFileSync(MINIMAL, "utf8").trimEnd()}
\`\`\`

Paddock reads one YAML file (YAML 1.2): the one that \`--config\` names, else \`$PADDOCK_CONFIG\`, else \`./paddock.yaml\`,
else \`/etc/paddock/paddock.yaml\`. Paths in it are relative to the file. \`paddock check\` shows every problem at once,
each as \`file:line:column: message\`, and a key that does not exist is refused with the one you may have meant.
Nothing is replaced by a default in silence. A commented sample is in
[config/paddock.example.yaml](../config/paddock.example.yaml).

**Durations** are \`250ms\`, \`10s\`, \`5m\`, \`12h\`, \`30d\`, \`1y\`; **sizes** \`512B\`, \`16KB\`, \`100MB\`, \`1GB\` (1 KB is 1024 bytes).
**Listen addresses** are \`[::]:443\` (every address, IPv4 too), \`127.0.0.1:80\`, \`:443\` (the same as \`[::]:443\`), or
\`fd:NAME\` for a socket that systemd passes under that name.

**Environment.** The variable in the last column wins over the key. Lists are separated by commas, \`[]\` is the
empty list, sections are written as YAML (\`PADDOCK_HSTS='{maxAge: 30d}'\`), and an empty variable counts as unset.
Relative paths in variables are relative to the working directory. One site needs no file at all:

\`\`\`sh
PADDOCK_NAMES=yourdomain.com,www.yourdomain.com
PADDOCK_UPSTREAM=http://app:8000
PADDOCK_STATIC=/static/=/srv/static
PADDOCK_EMAIL=you@yourdomain.com
\`\`\`

Names that no public CA can certify (\`localhost\`, \`*.localhost\`, \`*.test\`, \`*.internal\`, loopback addresses) get a
certificate from the embedded CA without being asked.`;
}

/** A heading, a sentence, a table; then the sections inside. */
function sectionParts(level: string, heading: string, doc: string, section: Section, path: string): string[] {
  const rows = Object.entries(section);
  // Sections of plain keys have a table of their own; a row that only points at it would say nothing.
  const shown = rows.filter(([, entry]) => !isNested(entry) || entry.env !== undefined || path !== "");
  const withVariables = shown.some(([, entry]) => entry.env !== undefined);
  const header = ["Key", "What it is", "Default", ...(withVariables ? ["Variable"] : [])];
  const table = [
    row(header),
    row(header.map(() => "---")),
    ...shown.map(([key, entry]) => {
      const cells = [`\`${key}\``, describe(entry, path, key), defaultOf(entry)];
      return row(withVariables ? [...cells, entry.env === undefined ? "" : `\`${entry.env}\``] : cells);
    }),
  ].join("\n");
  const innerLevel = path === "" ? "##" : "###";
  const inner = Object.entries(section).flatMap(([key, entry]) => {
    if (!isNested(entry)) return [];
    const innerPath = pathTo(path, key, entry);
    return sectionParts(innerLevel, `\`${innerPath}\``, entry.doc, entry.section, innerPath);
  });
  return [`${level} ${heading}`, ...(doc === "" ? [] : [doc]), table, ...inner];
}

function pathTo(path: string, key: string, entry: Nested): string {
  const suffix = entry.nested === "list" ? "[]" : entry.nested === "named" ? ".NAME" : "";
  return `${path === "" ? "" : `${path}.`}${key}${suffix}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function describe(entry: Key | Nested, path: string, key: string): string {
  if (!isNested(entry)) return `${entry.doc} ${sentence(FORMATS[entry.format].says)}`;
  const anchor = pathTo(path, key, entry).toLowerCase().replace(/[^a-z0-9-]/g, "");
  return `${entry.doc} See [\`${pathTo(path, key, entry)}\`](#${anchor}).`;
}

function sentence(text: string): string {
  return text === "" ? "" : `*${text.charAt(0).toUpperCase()}${text.slice(1)}.*`;
}

function defaultOf(entry: Key | Nested): string {
  if (isNested(entry)) {
    if (entry.or !== undefined && entry.or.default !== null) return `\`${String(entry.or.default)}\``;
    if (entry.env === "PADDOCK_ISSUERS") return "Let's Encrypt";
    if (entry.env === "PADDOCK_HSTS") return "its defaults";
    return entry.env === "PADDOCK_SITES" ? "required" : "none";
  }
  if (entry.required) return "required";
  const value = entry.default;
  if (value === null) return "none";
  if (Array.isArray(value)) return value.length === 0 ? "none" : `\`${JSON.stringify(value)}\``;
  return `\`${String(value)}\``;
}

function variables(): string {
  return [
    "## Variables without a key",
    [row(["Variable", "What it is"]), row(["---", "---"])]
      .concat(Object.entries(SHORTCUTS).map(([name, doc]) => row([`\`${name}\``, doc])))
      .join("\n"),
  ].join("\n\n");
}

if (import.meta.main) {
  const page = configurationPage();
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
  else if (readFileSync(PAGE, "utf8") !== page) {
    console.error("docs/configuration.md is not what the schema says; run: npm run docs");
    process.exitCode = 1;
  }
}
