import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exchange } from "../../src/exchange/exchange.ts";
import { redirectToHttps } from "../../src/handlers/https-redirect.ts";

/** Where a request with that Host for the site's `name` is sent to. */
function locationOf(host: string, name: string, port: number): string {
  let location = "";
  const exchange: Pick<Exchange, "host" | "target" | "method" | "handler" | "respond"> = {
    host,
    target: "/a?b",
    method: "GET",
    handler: "",
    respond: (_status, fields) => {
      location = fields[fields.indexOf("location") + 1] ?? "";
    },
  };
  redirectToHttps(exchange as Exchange, name, port);
  return location;
}

void test("an IPv6 address keeps its brackets on the way to https", () => {
  assert.equal(locationOf("[::1]", "::1", 443), "https://[::1]/a?b");
  assert.equal(locationOf("[::1]:80", "::1", 8443), "https://[::1]:8443/a?b");
  assert.equal(locationOf("a.test:80", "a.test", 8443), "https://a.test:8443/a?b");
  assert.equal(locationOf("a.test", "a.test", 443), "https://a.test/a?b");
});
