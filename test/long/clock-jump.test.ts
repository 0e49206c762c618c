/**
 * A whole daemon whose clock is set, by Debian's libfaketime, while its time goes on: a year ahead, back, and a year
 * back. It notices within a minute each time, so this is not in the suite: `npm run test:long`.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "node:tls";
import { once } from "node:events";
import type { JournaledStatus } from "../../src/cli/certs/journals.ts";
import type { DaemonStatus } from "../../src/supervisor/status.ts";
import { FaultyCa } from "../parts/faulty-ca.ts";
import { Paddock } from "../parts/paddock.ts";
import { startPebble } from "../parts/pebble.ts";

const [LIBRARY = "libfaketime is not installed"] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1");
const NAME = "www.example.org";

async function servedFingerprint(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, servername: NAME, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

test("a daemon whose clock goes a year ahead, returns, and goes a year back serves on and orders nothing", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "paddock-clock-"));
  const offset = join(folder, "offset");
  await writeFile(offset, "+0");
  const pebble = await startPebble({ nonceReject: 0, certificateValidity: 45 * 86_400 });
  t.after(() => pebble.stop());
  await using ca = await FaultyCa.start(pebble);
  const paddock = await Paddock.start({
    folder,
    workers: 1,
    httpPort: pebble.httpPort,
    environment: {
      LD_PRELOAD: LIBRARY,
      FAKETIME_TIMESTAMP_FILE: offset,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    yaml: () => `issuers: [{ acme: "${ca.directoryUrl}", trustedRoots: ${ca.trustedRootsPath} }]
sites: [{ names: [${NAME}], static: { /: . } }]`,
  });
  t.after(() => paddock.stop());
  const status = async (): Promise<DaemonStatus & { certificates: JournaledStatus[] }> =>
    JSON.parse((await paddock.command("status", "--json")).stdout) as DaemonStatus & {
      certificates: JournaledStatus[];
    };
  await paddock.until("the certificate", async () => (await status()).certificates[0]?.state === "valid");
  const served = await servedFingerprint(paddock.httpsPort);
  const orders = ca.count("newOrder");

  await writeFile(offset, "+365d");
  await paddock.until("the jump", () => /the clock went 365 days ahead/.test(paddock.output), 90);
  const untimely = await paddock.command("certs", "renew", NAME);
  // The CA's own certificate is not valid by that clock, so nobody can be asked what the time is.
  assert.match(untimely.stderr, /certificate has expired.*clock of this machine, which says 20\d\d-/);
  assert.equal(await servedFingerprint(paddock.httpsPort), served);
  assert.equal((await status()).certificates[0]?.state, "failing");
  assert.equal(ca.count("newOrder"), orders);

  await writeFile(offset, "+0");
  await paddock.until("the return", () => /the clock went 365 days back/.test(paddock.output), 90);
  const back = (await status()).certificates[0];
  assert.equal(back?.state, "valid");
  const [left, life] = [(back?.nextAttempt ?? 0) - Date.now(), (back?.notAfter ?? 0) - Date.now()];
  assert.ok(left > life / 3 && left < life, `planned by the right clock: in ${left} of ${life}`);
  assert.equal(await servedFingerprint(paddock.httpsPort), served);
  assert.equal(ca.count("newOrder"), orders);

  const before = paddock.output.length;
  await writeFile(offset, "-365d");
  await paddock.until(
    "the year back",
    () => /the clock went 365 days back/.test(paddock.output.slice(before)),
    90,
  );
  assert.equal(await servedFingerprint(paddock.httpsPort), served);
  assert.equal(ca.count("newOrder"), orders);
  await writeFile(offset, "+0");
  await paddock.until(
    "the second return",
    () => (paddock.output.match(/365 days ahead/g) ?? []).length > 1,
    90,
  );
  const end = (await status()).certificates[0];
  assert.deepEqual([end?.state, ca.count("newOrder")], ["valid", orders]);
  assert.equal((await paddock.command("certs", "renew", NAME)).code, 0);
  assert.notEqual(await servedFingerprint(paddock.httpsPort), served);
});
