import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { startApp, type App } from "../parts/app.ts";
import { Paddock } from "../parts/paddock.ts";

const run = promisify(execFile);

describe("paddock maintenance", () => {
  let paddock: Paddock;
  let app: App;
  const yaml = (folder: string): string => `issuers: [{ local: true }]
sites:
  - { names: [app.test, www.app.test], upstream: "unix:${folder}/app.sock", static: { /static/: "${folder}/static" } }
  - { names: [other.test], upstream: "unix:${folder}/app.sock", errors: "${folder}/pages" }`;

  before(async () => {
    paddock = await Paddock.start({
      yaml: (folder) => {
        mkdirSync(`${folder}/static`);
        writeFileSync(`${folder}/static/a.css`, "a{}");
        mkdirSync(`${folder}/pages`);
        writeFileSync(`${folder}/pages/maintenance.html`, "<p>ours: {{message}}");
        return yaml(folder);
      },
    });
    app = await startApp(`${paddock.folder}/app.sock`);
  });

  after(async () => {
    await app.stop();
    await paddock.stop();
  });

  const statusOf = async (path: string, host = "app.test"): Promise<number> =>
    (await paddock.get(path, { host })).status;

  test("on: 503 with Retry-After for all of the site, in every worker, and for no other site", async () => {
    const { code, stdout } = await paddock.command("maintenance", "on", "www.app.test");
    assert.deepEqual([code, stdout], [0, "app.test is in maintenance\n"]);
    for (let request = 0; request < 6; request++) {
      const answer = await paddock.get("/", { host: request % 2 === 0 ? "app.test" : "www.app.test" });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers["retry-after"], "300");
      assert.equal(answer.headers.server, "paddock");
      assert.match(answer.body.toString(), /We are working on this site/);
    }
    assert.equal(await statusOf("/static/a.css"), 503);
    assert.equal(await statusOf("/", "other.test"), 200);
    const json = await paddock.get("/", { host: "app.test", headers: { accept: "application/json" } });
    assert.equal((JSON.parse(json.body.toString()) as { status: number }).status, 503);
    const to = `https://app.test:${paddock.httpsPort}/`;
    const args = [
      "--max-time",
      "10",
      "--http2",
      "-s",
      "-o",
      "/dev/null",
      "-w",
      "%{http_version} %{response_code}",
    ];
    args.push("--cacert", paddock.rootPath, "--resolve", `app.test:${paddock.httpsPort}:127.0.0.1`, to);
    assert.equal((await run("curl", args)).stdout, "2 503");
  });

  test("port 80 goes on: challenges are looked for, and the redirect leads to https", async () => {
    const host = { host: "app.test" };
    assert.equal((await paddock.plain(paddock.httpPort, "/.well-known/acme-challenge/x", host)).status, 404);
    assert.equal((await paddock.plain(paddock.httpPort, "/", host)).status, 301);
  });

  test("status tells, on the command line, as JSON and on the page", async () => {
    assert.match(
      (await paddock.command("status")).stdout,
      /site app\.test.*\n.*\n {2}in maintenance since 2/,
    );
    const { stdout } = await paddock.command("status", "--json");
    const [closed, open] = (JSON.parse(stdout) as { sites: { maintenance: { site: string } | null }[] })
      .sites;
    assert.equal(closed?.maintenance?.site, "app.test");
    assert.equal(open?.maintenance, null);
    assert.match((await paddock.plain(paddock.adminPort, "/")).body.toString(), /in maintenance<\/b> since/);
  });

  test("lasts through a reload, new workers and a new start; the file is the owner's alone", async () => {
    await paddock.edit((text) =>
      text.replace("names: [app.test, www.app.test]", "names: [www.app.test, app.test]"),
    );
    assert.equal((await paddock.command("reload")).code, 0);
    assert.equal(await statusOf("/"), 503, "also where another name is the first one");
    await paddock.edit((text) => text.replace("workers: 2", "workers: 1"));
    assert.match((await paddock.command("reload")).stdout, /replaced/);
    assert.equal(await statusOf("/"), 503);
    const file = `${paddock.folder}/store/maintenance.json`;
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { folder } = paddock;
    await paddock.stop({ keepFolder: true });
    paddock = await Paddock.start({ folder, yaml });
    assert.equal(await statusOf("/"), 503);
    assert.match(readFileSync(file, "utf8"), /app\.test/);
  });

  test("--allow lets through, --message is shown and escaped, again replaces; off opens", async () => {
    const allowed = await paddock.command(
      "maintenance",
      "on",
      "app.test",
      "--allow",
      "10.0.0.0/8",
      "--allow",
      "127.0.0.1",
    );
    assert.equal(
      allowed.stdout,
      "app.test is in maintenance already; what was given now is in force; 10.0.0.0/8, 127.0.0.1 get through\n",
    );
    assert.equal(await statusOf("/"), 200);
    await paddock.command(
      "maintenance",
      "on",
      "other.test",
      "--allow",
      "10.0.0.0/8",
      "--message",
      "Back at <noon>",
    );
    const own = await paddock.get("/", { host: "other.test" });
    assert.deepEqual([own.status, own.body.toString()], [503, "<p>ours: Back at &#60;noon&#62;"]);
    for (const site of ["app.test", "other.test"]) {
      const off = await paddock.command("maintenance", "off", site);
      assert.deepEqual([off.code, off.stdout], [0, `${site} is open again\n`]);
      assert.equal(await statusOf("/", site), 200);
    }
    assert.equal(
      (await paddock.command("maintenance", "off", "app.test")).stdout,
      "app.test is open, and was before\n",
    );
  });

  test("exit codes: 1 for a site that is none, 2 for wrong usage, 3 without a daemon", async () => {
    const unknown = await paddock.command("maintenance", "on", "ap.test");
    assert.equal(unknown.code, 1);
    assert.equal(unknown.stderr, "paddock: there is no site called ap.test; did you mean app.test?\n");
    for (const args of [
      [],
      ["perhaps", "app.test"],
      ["on"],
      ["on", "app.test", "other.test"],
      ["on", "app.test", "--allow", "10.0.0.0/33"],
      ["on", "app.test", "--message", "x".repeat(501)],
      ["off", "app.test", "--allow", "127.0.0.1"],
    ]) {
      const { code, stderr } = await paddock.command("maintenance", ...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(stderr, /usage: paddock maintenance on\|off SITE/);
    }
    writeFileSync(
      `${paddock.folder}/elsewhere.yaml`,
      readFileSync(`${paddock.folder}/paddock.yaml`, "utf8").replace("control.sock", "none.sock"),
    );
    const { code } = await run(process.execPath, [
      `${import.meta.dirname}/../../src/main.ts`,
      "maintenance",
      "on",
      "app.test",
      "--config",
      `${paddock.folder}/elsewhere.yaml`,
    ]).then(
      () => ({ code: 0 }),
      (error: { code: number }) => error,
    );
    assert.equal(code, 3);
  });

  test("a damaged file is set aside and said, and the site is open", async () => {
    const { folder } = paddock;
    await paddock.stop({ keepFolder: true });
    writeFileSync(`${folder}/store/maintenance.json`, '{"sites":[{"site":5}]}');
    paddock = await Paddock.start({ folder, yaml });
    assert.equal(await statusOf("/"), 200);
    assert.match(paddock.output, /maintenance\.json is damaged .* no site is in maintenance/);
  });
});
