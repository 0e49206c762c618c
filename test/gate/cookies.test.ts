import assert from "node:assert/strict";
import { test } from "node:test";
import { cookieAttributes } from "../../src/handlers/cookies.ts";

test("cookies get the attributes that the app left out, and keep those that it set", () => {
  const complete = cookieAttributes({ secure: true, httpOnly: ["sessionid"], sameSite: "Lax" });
  const fields = [
    "set-cookie",
    "sessionid=a; Path=/",
    "set-cookie",
    "csrftoken=b; SameSite=Strict; secure",
    "etag",
    '"x"',
  ];
  complete(fields, true);
  assert.deepEqual(fields, [
    "set-cookie",
    "sessionid=a; Path=/; Secure; HttpOnly; SameSite=Lax",
    "set-cookie",
    "csrftoken=b; SameSite=Strict; secure",
    "etag",
    '"x"',
  ]);
});

test("a plain connection gives no Secure cookie, which a browser would drop", () => {
  const fields = ["set-cookie", "a=b"];
  cookieAttributes({ secure: true, httpOnly: [], sameSite: null })(fields, false);
  assert.deepEqual(fields, ["set-cookie", "a=b"]);
});
