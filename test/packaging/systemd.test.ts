import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const units = join(import.meta.dirname, "../../systemd");
const service = readFileSync(join(units, "paddock.service"), "utf8");

/** systemd-analyze's own rating, 0 (closed) to 10 (open): what the service is held to. */
const HIGHEST_EXPOSURE = 1.5;

function analyze(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

/** All settings of the unit; those that are given more than once joined by spaces. */
function setting(name: string): string | undefined {
  const lines = service.split("\n").filter((line) => line.startsWith(`${name}=`));
  return lines.length === 0 ? undefined : lines.map((line) => line.slice(name.length + 1)).join(" ");
}

void test("systemd accepts the units without a word", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "paddock-units-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of readdirSync(units)) {
    // The command is not installed here, and `verify` wants to see a program.
    const text = readFileSync(join(units, name), "utf8").replaceAll("/usr/bin/paddock", "/bin/true");
    writeFileSync(join(folder, name), text);
  }
  const { status, output } = analyze("verify", ...readdirSync(units).map((name) => join(folder, name)));
  // Units of the machine itself may have faults; only lines about ours count.
  const ours = output.split("\n").filter((line) => /paddock/.test(line));
  assert.deepEqual(ours, []);
  assert.equal(status, 0, output);
});

void test(`the service is rated ${HIGHEST_EXPOSURE} or better`, (t) => {
  const folder = mkdtempSync(join(tmpdir(), "paddock-units-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const unit = join(folder, "paddock.service");
  writeFileSync(unit, service);
  // The threshold is ten times the rating.
  const { status, output } = analyze(
    "security",
    "--offline=true",
    `--threshold=${HIGHEST_EXPOSURE * 10}`,
    unit,
  );
  assert.equal(status, 0, output);
  const [, rating] = /Overall exposure level for paddock\.service: ([\d.]+)/.exec(output) ?? [];
  assert.ok(Number(rating) <= HIGHEST_EXPOSURE, output);
});

void test("an ordinary user, one capability, and the folders of the defaults", () => {
  assert.equal(setting("User"), "paddock");
  assert.equal(setting("AmbientCapabilities"), "CAP_NET_BIND_SERVICE");
  assert.equal(setting("CapabilityBoundingSet"), "CAP_NET_BIND_SERVICE");
  assert.equal(setting("Type"), "notify");
  assert.equal(setting("StateDirectory"), "paddock");
  assert.equal(setting("StateDirectoryMode"), "0700");
  assert.equal(setting("RuntimeDirectory"), "paddock");
  assert.equal(setting("RuntimeDirectoryMode"), "0700");
  assert.equal(setting("ExecStart"), "/usr/bin/paddock run --config /etc/paddock/paddock.yaml");
  assert.equal(setting("MemoryDenyWriteExecute"), undefined, "V8 needs to write code and run it");
  assert.equal(setting("PrivateUsers"), undefined, "no port 80 from a user namespace");
  for (const family of ["AF_INET", "AF_INET6", "AF_UNIX"])
    assert.ok(setting("RestrictAddressFamilies")?.split(" ").includes(family));
});
