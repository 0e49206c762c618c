import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const COMMAND = resolve(import.meta.dirname, "../../bin/paddock");

void test("help is there for everything, each command, and each word of it", async () => {
  const all = await run(COMMAND, ["--help"]);
  assert.match(all.stdout, /paddock certs list\|show\|renew\|/);
  assert.match(all.stdout, /paddock trust \[--uninstall\]/);
  const certs = await run(COMMAND, ["certs", "--help"]);
  assert.match(certs.stdout, /certs rehearse \[NAME\]/);
  const word = await run(COMMAND, ["certs", "rehearse", "--help"]);
  assert.match(word.stdout, /^usage: paddock certs rehearse \[NAME\]/);
  assert.doesNotMatch(word.stdout, /certs renew/);
});

void test("what is not understood is wrong usage, and says what is", async () => {
  for (const [args, sentence] of [
    [["certs", "renw"], /certs cannot "renw"; certs can list, show, renew/],
    [["sertificates"], /there is no command "sertificates"; see paddock --help/],
    [["certs", "renew"], /no name is given; usage: paddock certs renew NAME/],
  ] as const)
    await assert.rejects(run(COMMAND, args), (error: { code?: number; stderr?: string }) => {
      assert.equal(error.code, 2);
      assert.match(String(error.stderr), sentence);
      return true;
    });
});
