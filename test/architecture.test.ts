import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/**
 * From the top. A file imports from its own folder and from the layers below; folders of one layer do not know
 * each other. The drawing with the reasons is in docs/architecture.md: change both together.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli/"],
  ["supervisor/", "worker/"],
  ["status-page/", "certbot-import/"],
  ["pipeline.ts", "worker-protocol.ts"],
  ["handlers/"],
  ["upstream/", "certificates/", "acme/", "acme-server/"],
  ["http2/", "tls/", "proxy-protocol/", "dns/"],
  ["http1/"],
  ["buffering/"],
  ["exchange/"],
  ["metrics/", "logging/"],
  ["config/"],
  ["errors.ts", "clock.ts", "version.ts"],
];

const LONGEST_FILE = 300;
/** Tables, one row per key or format: splitting them would part what is read side by side. */
const LONGER_TABLES: Readonly<Record<string, number>> = {
  "config/formats.ts": 350,
};

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));
const FILES = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .sort();

interface Import {
  readonly file: string;
  readonly line: number;
  readonly from: string;
}

/** `import … from "x"`, `export … from "x"`, `import "x"` and `import("x")`, over several lines too. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(SOURCE, file), "utf8");
  const pattern =
    /^(?:import|export)\s(?:[^;"'`]*?\sfrom\s*)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    file,
    line: text.slice(0, match.index).split("\n").length,
    from: match[1] ?? match[2] ?? "",
  }));
}

const IMPORTS = FILES.flatMap(importsOf);

/** The folder of a file, with its slash, or the file itself where it lies at the top of src. */
function part(file: string): string {
  const slash = file.indexOf("/");
  return slash < 0 ? file : file.slice(0, slash + 1);
}

function layer(name: string): number {
  return LAYERS.findIndex((names) => names.includes(name));
}

function breach({ file, line, from }: Import): string | null {
  if (!from.startsWith(".")) return null;
  const target = relative(SOURCE, join(SOURCE, dirname(file), from));
  if (target === "../package.json") return null;
  const [own, other] = [part(file), part(target)];
  if (own === other) return null;
  const [above, below] = [layer(own), layer(other)];
  if (below > above) return null;
  const what = `src/${file}:${line} imports ${from}`;
  return below === above
    ? `${what}, but ${own} and ${other} are of one layer: move what both need into a layer below, or let the layer above hand it over.`
    : `${what}, but ${other} is above ${own}: hand it over as an argument or a callback, or move it to a layer below ${own}.`;
}

void test("the import statements were found", () => {
  assert.ok(IMPORTS.length > FILES.length, `${IMPORTS.length} imports in ${FILES.length} files`);
});

void test("every file of src has a layer", () => {
  const strangers = [...new Set(FILES.map(part))].filter((name) => layer(name) < 0);
  assert.deepEqual(
    strangers,
    [],
    `${strangers.join(", ")} has no layer: give it one in LAYERS here and in docs/architecture.md.`,
  );
});

void test("each layer imports from those below alone", () => {
  const breaches = IMPORTS.map(breach).filter((sentence) => sentence !== null);
  assert.equal(breaches.length, 0, `\n${breaches.join("\n")}`);
});

void test("main.ts and worker/main.ts are started, never imported", () => {
  const importers = IMPORTS.filter(({ from }) => /^\..*\/main\.ts$/.test(from));
  assert.deepEqual(
    importers,
    [],
    "a program's entry has no exports: move what is wanted into a file of its own.",
  );
});

void test("only config/validated-key.ts knows convict", () => {
  const users = IMPORTS.filter(({ from }) => from === "convict").map(({ file }) => file);
  assert.deepEqual(
    users,
    ["config/validated-key.ts"],
    "take the validated Configuration, or a slice of it, in place of convict; formats and keys are plain tables.",
  );
});

void test("each library stays in the folder that wraps it", () => {
  const homes: Readonly<Record<string, readonly string[]>> = {
    pino: ["logging/"],
    "prom-client": ["metrics/"],
    yaml: ["config/"],
    jose: ["acme/", "acme-server/"],
    "@peculiar/x509": ["tls/", "certificates/"],
  };
  const strays = IMPORTS.filter(({ file, from }) => homes[from] && !homes[from].includes(part(file))).map(
    ({ file, line, from }) =>
      `src/${file}:${line} imports ${from}: use what ${homes[from]?.join(" or ")} exports.`,
  );
  assert.equal(strays.length, 0, `\n${strays.join("\n")}`);
});

void test("http-proxy and greenlock are not on the serving path", () => {
  const users = IMPORTS.filter(({ from }) =>
    /^(?:http-proxy|greenlock|@root\/|acme-client|node:cluster)/.test(from),
  );
  assert.deepEqual(users, [], "docs/decisions/ says why they were turned down; write a new decision first.");
});

void test("no file is named for nothing in particular", () => {
  const vague = FILES.filter((file) =>
    /(?:^|\/)(?:utils?|helpers?|common|misc|shared)(?:\/|\.ts$)/.test(file),
  );
  assert.deepEqual(vague, [], "name the file after the one concept that it holds.");
});

void test("files stay short", () => {
  const long = FILES.map((file) => ({
    file,
    lines: readFileSync(join(SOURCE, file), "utf8").split("\n").length - 1,
  })).filter(({ file, lines }) => lines > (LONGER_TABLES[file] ?? LONGEST_FILE));
  assert.deepEqual(
    long,
    [],
    `over ${LONGEST_FILE} lines: there is a second concept in it; give that a file of its own.`,
  );
});
