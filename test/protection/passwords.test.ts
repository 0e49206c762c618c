import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { formatPasswordHash, parsePasswordHash, type PasswordHash } from "../../src/config/password-hash.ts";
import { KnownCredentials } from "../../src/handlers/protection/known-credentials.ts";
import { checkPassword } from "../../src/handlers/protection/password-check.ts";

/** Of the reference implementation's own test (P-H-C/phc-winner-argon2, src/test.c): "password", "somesalt". */
const REFERENCE = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

const parse = (text: string): PasswordHash => {
  const parsed = parsePasswordHash(text);
  return "value" in parsed ? parsed.value : assert.fail(parsed.problem);
};
const check = (password: string, hash: PasswordHash): Promise<boolean | null> =>
  new Promise((resolve) => checkPassword(Buffer.from(password), hash, resolve));

void test("agrees with the reference implementation of Argon2", async () => {
  assert.equal(await check("password", parse(REFERENCE)), true);
  assert.equal(await check("Password", parse(REFERENCE)), false);
  assert.equal(formatPasswordHash(parse(REFERENCE)), REFERENCE);
});

void test("paddock hash-password prints a hash of the first line, with a salt of its own", async () => {
  const hashOf = async (input: string): Promise<{ code: number; stdout: string }> => {
    const child = spawn(join(import.meta.dirname, "../../bin/paddock"), ["hash-password"], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stdin.end(input);
    const [code] = (await once(child, "close")) as [number];
    return { code, stdout };
  };
  const [one, other, empty] = await Promise.all([hashOf("ä secret\nmore\n"), hashOf("ä secret"), hashOf("")]);
  assert.equal(one.code, 0);
  assert.notEqual(one.stdout, other.stdout);
  for (const { stdout } of [one, other]) {
    assert.equal(await check("ä secret", parse(stdout.trimEnd())), true);
    assert.equal(await check("ä secret\n", parse(stdout.trimEnd())), false);
  }
  assert.deepEqual(empty, { code: 1, stdout: "" });
});

void test("refuses more checks than it can hold, and does the others one after the other", async () => {
  const hash = { ...parse(REFERENCE), memory: 8, passes: 1 };
  const outcomes = await Promise.all(Array.from({ length: 80 }, () => check("password", hash)));
  assert.equal(outcomes.filter((outcome) => outcome === null).length, 80 - 65);
  assert.equal(await check("password", hash), false);
});

void test("refuses parameters that would take the machine, and other hashes by name", () => {
  const problem = (text: string): string => {
    const parsed = parsePasswordHash(text);
    return "problem" in parsed ? parsed.problem : assert.fail(text);
  };
  assert.match(problem(REFERENCE.replace("m=65536", "m=4194304")), /m from 8 times p to 262144/);
  assert.match(problem(REFERENCE.replace("m=65536", "m=7")), /m from 8 times p/);
  assert.match(problem(REFERENCE.replace("p=1", "p=0")), /p of at least 1/);
  assert.match(problem(REFERENCE.replace("t=2", "t=21")), /t from 1 to 20/);
  assert.match(problem(REFERENCE.replace("argon2id", "argon2i")), /another variant/);
  assert.match(problem(`argon2${REFERENCE}`), /leave out its first word/);
  assert.match(problem("$6$salt$hash"), /crypt\(3\)/);
  for (const text of ["", "secret", REFERENCE.slice(1), `${REFERENCE}=`, `${REFERENCE} `]) {
    assert.match(problem(text), /this is not\. paddock hash-password makes one$/);
    if (text !== "") assert.ok(!problem(text).includes(text));
  }
});

void test("a credential that was right is known for five minutes, and the latest thousand are", () => {
  const known = new KnownCredentials();
  const key = KnownCredentials.keyOf("Basic YTpi");
  assert.ok(!key.includes("YTpi"));
  assert.ok(!known.has(key, 0));
  known.add(key, 0);
  assert.ok(known.has(key, 299_999));
  assert.ok(!known.has(key, 300_000));
  for (let other = 0; other < 2000; other++) known.add(KnownCredentials.keyOf(String(other)), 0);
  assert.ok(!known.has(KnownCredentials.keyOf("0"), 1));
  assert.ok(known.has(KnownCredentials.keyOf("1999"), 1));
});
