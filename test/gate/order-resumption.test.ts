/** A daemon that is killed at each step of an order, and the next one, which goes on with the same order. */
import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FaultyCa, type Step } from "../parts/faulty-ca.ts";
import { Paddock } from "../parts/paddock.ts";
import { startPebble, type Pebble } from "../parts/pebble.ts";

interface KeptOrder {
  readonly order: string;
  readonly key: string;
}

/** The JSON files below a folder of the storage, each of which nobody else may read. */
function documents<T>(folder: string, part: string): T[] {
  const root = join(folder, "store", part);
  return readdirSync(root, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name);
    assert.equal(statSync(path).mode & 0o777, entry.isFile() ? 0o600 : 0o700, path);
    return entry.name.endsWith(".json") ? [JSON.parse(readFileSync(path, "utf8")) as T] : [];
  });
}

const issued = (paddock: Paddock) => (): boolean => / issued, valid until /.test(paddock.output);

describe("a daemon killed by SIGKILL", () => {
  let pebble: Pebble;
  let ca: FaultyCa;
  let paddock: Paddock | null = null;

  before(async () => {
    pebble = await startPebble({ nonceReject: 0, alternateChains: 1 });
    ca = await FaultyCa.start(pebble);
  });

  after(async () => {
    await ca[Symbol.asyncDispose]();
    await pebble.stop();
  });

  const validated = (): number => pebble.log().split(" set VALID").length;

  async function start(name: string, folder?: string): Promise<Paddock> {
    paddock = await Paddock.start({
      httpPort: pebble.httpPort,
      workers: 1,
      ...(folder === undefined ? {} : { folder }),
      yaml: () => `issuers:
  - acme: "${ca.directoryUrl}"
    trustedRoots: "${ca.trustedRootsPath}"
    preferredChain: none of them
sites: [{ names: [${name}], upstream: "http://127.0.0.1:1" }]`,
    });
    return paddock;
  }

  /** What is left once the second daemon has its certificate: one order, and its own key. */
  async function goesOn(name: string, folder: string, orders: number): Promise<void> {
    const [kept] = documents<KeptOrder>(folder, "orders");
    assert.ok(kept, "the order was kept");
    const second = await start(name, folder);
    await second.until("the certificate", issued(second));
    assert.match(second.output, /is taken up again; it is (pending|ready|processing|valid)/);
    assert.equal(ca.count("newOrder"), orders + 1, "no second order");
    const [stored] = documents<{ chain: string; key: string }>(folder, "certificates");
    assert.equal(stored?.key, kept.key, "the key that was kept");
    const leaf = new X509Certificate(stored.chain);
    assert.equal(leaf.subjectAltName, `DNS:${name}`);
    assert.ok(leaf.publicKey.equals(createPublicKey(kept.key)));
    assert.deepEqual(documents(folder, "orders"), [], "an order that is done is forgotten");
    await second.stop();
  }

  const steps: readonly (readonly [string, Step, "before" | "after"])[] = [
    ["after the order is made", "authorization", "before"],
    ["after the challenge is answered", "challenge", "after"],
    ["before the CA sees the certificate request", "finalize", "before"],
    ["after the CA saw the certificate request", "finalize", "after"],
    ["before the download", "certificate", "before"],
    ["when the download is on its way", "certificate", "after"],
  ];
  for (const [index, [what, step, when]] of steps.entries()) {
    test(`${what} goes on with the same order`, async () => {
      const name = `killed-${index}.example.org`;
      const orders = ca.count("newOrder");
      const validations = validated();
      const held = ca.hold(step, when);
      const first = await start(name);
      const { folder } = first;
      try {
        await held.reached;
        // A challenge that the CA looks at while nobody is there to answer it ends the order, as it has to.
        if (step === "challenge") await first.until("the validation", () => validated() > validations);
        await first.kill();
        held.release();
        await goesOn(name, folder, orders);
      } finally {
        held.release();
        await paddock?.stop({ keepFolder: true });
        await rm(folder, { recursive: true, force: true });
      }
    });
  }

  test("between download and store downloads the same certificate again", async () => {
    const orders = ca.count("newOrder");
    const first = await start("unstored.example.org");
    const { folder } = first;
    try {
      await first.until("the certificate", issued(first));
      assert.deepEqual(documents(folder, "orders"), []);
      const held = ca.hold("certificate", "before");
      const renewal = first.command("certs", "renew", "unstored.example.org");
      await held.reached;
      // The folder of the issuer's certificates becomes a file: nothing can be stored any more.
      const certificates = join(folder, "store/certificates");
      const [issuer] = readdirSync(certificates) as [string];
      rmSync(join(certificates, issuer), { recursive: true });
      writeFileSync(join(certificates, issuer), "");
      held.release();
      assert.equal((await renewal).code, 0, "it is served");
      await first.until("the failure", () => first.output.includes("unstored.example.org is not stored"));
      await first.kill();
      rmSync(join(certificates, issuer));
      mkdirSync(join(certificates, issuer), { mode: 0o700 });
      await goesOn("unstored.example.org", folder, orders + 1);
    } finally {
      await paddock?.stop({ keepFolder: true });
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("in a renewal that was not due goes on at the next start, and not when it is due", async () => {
    const name = "renewal.example.org";
    const first = await start(name);
    const { folder } = first;
    let held = null;
    try {
      await first.until("the certificate", issued(first));
      const orders = ca.count("newOrder");
      held = ca.hold("finalize", "after");
      const renewal = first.command("certs", "renew", name);
      await held.reached;
      await first.kill();
      assert.equal((await renewal).code, 3);
      held.release();
      await goesOn(name, folder, orders);
    } finally {
      held?.release();
      await paddock?.stop({ keepFolder: true });
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("with an order that the CA has refused meanwhile makes a new one", async () => {
    const name = "refused.example.org";
    const orders = ca.count("newOrder");
    const held = ca.hold("challenge", "before");
    const first = await start(name);
    const { folder } = first;
    try {
      await held.reached;
      await first.kill();
      held.release();
      const [kept] = documents<KeptOrder>(folder, "orders");
      // The order dies at the CA, as it does when nobody answers the challenge.
      ca.rewrite("order", (answer, request) =>
        kept?.order.endsWith(request.url) === true
          ? { ...answer, body: JSON.stringify({ ...(JSON.parse(answer.body) as object), status: "invalid" }) }
          : answer,
      );
      const second = await start(name, folder);
      await second.until("the certificate", issued(second));
      assert.equal(ca.count("newOrder"), orders + 2);
      const [stored] = documents<{ key: string }>(folder, "certificates");
      assert.notEqual(stored?.key, kept?.key, "a new order has a new key");
    } finally {
      ca.rewrite("order", null);
      held.release();
      await paddock?.stop({ keepFolder: true });
      await rm(folder, { recursive: true, force: true });
    }
  });
});
