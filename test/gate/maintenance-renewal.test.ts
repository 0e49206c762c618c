import assert from "node:assert/strict";
import { test } from "node:test";
import { Paddock } from "../parts/paddock.ts";
import { startPebble } from "../parts/pebble.ts";

test("a site in maintenance renews its certificate: Pebble's http-01 challenge is answered", async () => {
  // Each order is validated anew.
  const pebble = await startPebble({ authzReuse: 0 });
  const paddock = await Paddock.start({
    httpPort: pebble.httpPort,
    yaml: () => `issuers: [{ acme: "${pebble.directoryUrl}", trustedRoots: "${pebble.trustedRootsPath}" }]
sites:
  - { names: [app.example.com], upstream: "unix:/nobody/app.sock" }`,
  });
  try {
    const issued = (): string[] =>
      [...paddock.output.matchAll(/"fingerprint":"([0-9a-f]{64})","swapMilliseconds"/g)].map(
        ([, fingerprint]) => fingerprint as string,
      );
    const validations = (): number => pebble.log().split("Pulled a task from the Tasks queue").length - 1;
    await paddock.until("the first certificate", () => issued().length === 1);
    const before = validations();
    const ca = await pebble.issuingRoot();
    const name = "app.example.com";
    assert.equal((await paddock.command("maintenance", "on", name)).code, 0);
    assert.equal((await paddock.get("/", { host: name, ca })).status, 503);
    const { code, stderr } = await paddock.command("certs", "renew", name);
    assert.equal(code, 0, stderr);
    await paddock.until("the second certificate in the log", () => issued().length === 2);
    assert.notEqual(issued()[0], issued()[1]);
    assert.ok(validations() > before, "Pebble has looked for the challenge");
    // Served by the new one, and closed still.
    assert.equal((await paddock.get("/", { host: name, ca })).status, 503);
  } finally {
    await paddock.stop();
    await pebble.stop();
  }
});
