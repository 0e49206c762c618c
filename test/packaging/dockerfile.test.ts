import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import { argumentsOf, parseCopy, parseDockerfile } from "./dockerfile.ts";

const repository = join(import.meta.dirname, "../..");
const stages = parseDockerfile(readFileSync(join(repository, "Dockerfile"), "utf8"));
const [builder] = stages;
const last = stages.at(-1);
assert.ok(builder && last && builder !== last);

void test("every image has a tag that names a version", () => {
  for (const { image } of stages) assert.match(image, /^[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)*$/);
  const pinned = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")).devDependencies.node;
  assert.ok(builder.image.startsWith(`node:${pinned}-`), "the image has the runtime that the tests ran on");
});

void test("the last stage runs as an ordinary user, by number so that Kubernetes can check it", () => {
  const users = argumentsOf(last, "USER");
  assert.equal(users.length, 1);
  assert.match(users[0] ?? "", /^[1-9]\d*:[1-9]\d*$/);
  const names = last.instructions.map(({ name }) => name);
  assert.ok(names.indexOf("USER") > names.lastIndexOf("RUN"), "RUN needs root, and comes before");
});

void test("the last stage has no build tools and no package manager's doing", () => {
  assert.doesNotMatch(last.image, /^node/, "the node image brings npm, yarn and corepack");
  for (const command of argumentsOf(last, "RUN"))
    assert.doesNotMatch(command, /\b(apt|apt-get|npm|npx|yarn|corepack|curl|wget|gcc|make|python3?)\b/);
  assert.ok(argumentsOf(builder, "RUN").includes("npm prune --omit=dev"));
});

void test("the last stage says what it exposes, keeps and how to ask for its health", () => {
  assert.deepEqual(argumentsOf(last, "EXPOSE"), ["80 443"]);
  assert.deepEqual(argumentsOf(last, "VOLUME"), ["/var/lib/paddock"]);
  const [health] = argumentsOf(last, "HEALTHCHECK");
  assert.match(health ?? "", /\/healthz/);
  const command: unknown = JSON.parse(/CMD (\[.*\])$/.exec(health ?? "")?.[1] ?? "");
  assert.ok(Array.isArray(command) && command[0] === "node");
  // Nothing listens there now, so the check must say so, and not end with a stack.
  const environment = { ...process.env, PADDOCK_ADMIN_LISTEN: "127.0.0.1:9" };
  assert.throws(
    () => execFileSync(process.execPath, command.slice(1), { env: environment, stdio: "pipe" }),
    (error: { status?: unknown; stderr?: unknown }) => error.status === 1 && String(error.stderr) === "",
  );
  for (const form of ["ENTRYPOINT", "CMD"])
    assert.match(argumentsOf(last, form)[0] ?? "", /^\[/, "exec form");
});

void test("what is copied from the context exists and is let in by .dockerignore, and nothing else is", () => {
  const ignore = readFileSync(join(repository, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(ignore[0], "*");
  const allowed = ignore.slice(1).map((line) => line.replace(/^!/, ""));
  const copied = stages.flatMap((stage) =>
    argumentsOf(stage, "COPY")
      .map(parseCopy)
      .filter(({ from }) => from === undefined)
      .flatMap(({ sources }) => sources),
  );
  assert.deepEqual(allowed.toSorted(), copied.toSorted());
  for (const source of copied) assert.ok(existsSync(join(repository, source)), source);
});

/** Runs the file without an engine: copies and commands in folders that stand for the images' roots. */
void test("the commands of the stages build a Paddock that runs", { timeout: 280_000 }, (t) => {
  const base = mkdtempSync(join(tmpdir(), "paddock-image-"));
  t.after(() => rmSync(base, { recursive: true, force: true }));
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
    // What npm ci of this checkout has fetched is not fetched again.
    npm_config_prefer_offline: "true",
  };
  const roots = new Map<string, string>();
  for (const [index, stage] of stages.entries()) {
    const root = join(base, `stage-${index}`);
    roots.set(stage.name ?? "last", root);
    let workingDirectory = "/";
    for (const { name, arguments: text } of stage.instructions) {
      if (name === "WORKDIR") mkdirSync(join(root, (workingDirectory = text)), { recursive: true });
      // The last stage's RUN makes a user and folders, which this machine needs not have.
      if (name === "RUN" && stage === builder)
        execFileSync("sh", ["-ec", text], {
          cwd: join(root, workingDirectory),
          env: environment,
          stdio: "pipe",
        });
      if (name !== "COPY") continue;
      const { from, sources, target } = parseCopy(text);
      for (const source of sources) {
        // The runtime comes with the image; here it is the one that runs this test.
        if (source === "/usr/local/bin/node") continue;
        const path = join(from === undefined ? repository : (roots.get(from) ?? ""), source);
        const isInto = target.endsWith("/") && !statSync(path).isDirectory();
        const to = join(
          root,
          target.startsWith("/") ? "" : workingDirectory,
          target,
          isInto ? basename(source) : "",
        );
        cpSync(path, to, { recursive: true, verbatimSymlinks: true });
      }
    }
  }
  const root = roots.get("last") ?? "";
  const [entry] = JSON.parse(argumentsOf(last, "ENTRYPOINT")[0] ?? "[]") as string[];
  const version = execFileSync(join(root, entry ?? ""), ["--version"], {
    env: environment,
    encoding: "utf8",
  });
  assert.match(version, /\d+\.\d+\.\d+/);
  for (const tool of ["typescript", "oxlint", "fast-check", "playwright-core"])
    assert.ok(!existsSync(join(root, "opt/paddock/node_modules", tool)), `${tool} is left out`);
  assert.ok(!existsSync(join(root, "opt/paddock/src")));
});
