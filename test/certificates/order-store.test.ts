import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DamagedFiles } from "../../src/certificates/damaged.ts";
import { OrderStore } from "../../src/certificates/order-store.ts";
import { systemClock } from "../../src/clock.ts";
import { listeningLogger, temporaryFolder } from "./fixtures.ts";

const names = ["a.example.org", "b.example.org"];
const order = { order: "https://ca.example/order/1", key: "-----BEGIN PRIVATE KEY-----" };

void describe("orders under way", () => {
  const open = (storage: string) => {
    const { log, text } = listeningLogger();
    const damaged = new DamagedFiles({ storage, clock: systemClock, log });
    return { store: new OrderStore({ storage, issuer: "https://ca.example/dir", damaged }), text };
  };

  void it("are found by the next process, in whatever order the names are, and by nobody else", async () => {
    await using folder = await temporaryFolder();
    const { store } = open(folder.path);
    assert.equal(await store.load(names), null);
    await store.save(names, order);
    assert.deepEqual(await store.load(names), order);
    const next = open(folder.path).store;
    assert.deepEqual(await next.load(names.toReversed()), order);
    assert.equal(await next.load(["a.example.org"]), null);
    const [issuer] = await readdir(join(folder.path, "orders"));
    const path = join(folder.path, "orders", issuer ?? "");
    const [file] = await readdir(path);
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    assert.equal((await stat(join(path, file ?? ""))).mode & 0o777, 0o600);
    await next.remove(names);
    await next.remove(names);
    assert.equal(await next.load(names), null);
    assert.equal(await open(folder.path).store.load(names), null);
  });

  void it("that are damaged are set aside, without a word of the key in the log", async () => {
    await using folder = await temporaryFolder();
    await open(folder.path).store.save(names, order);
    const root = join(folder.path, "orders");
    const [issuer = ""] = await readdir(root);
    const [file = ""] = await readdir(join(root, issuer));
    const whole = await readFile(join(root, issuer, file), "utf8");
    await writeFile(join(root, issuer, file), whole.slice(0, -10));
    // What a write that was killed leaves behind goes too.
    await writeFile(join(root, issuer, `.${file}.0123456789ab.tmp`), whole);
    const { store, text } = open(folder.path);
    assert.equal(await store.load(names), null);
    assert.match(text(), /is damaged .* a new order is made/);
    assert.equal(text().includes("PRIVATE KEY"), false);
    assert.deepEqual(await readdir(join(root, issuer)), []);
    assert.equal((await readdir(join(folder.path, "damaged"))).length, 1);
    await store.save(names, order);
    assert.deepEqual(await store.load(names), order);
  });

  void it("fail with a sentence where the storage cannot be read, and work again when it can", async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, "orders"), "a file where a folder belongs");
    const { store } = open(folder.path);
    await assert.rejects(store.load(names), /the storage cannot be used at .*orders/);
    await rm(join(folder.path, "orders"));
    await mkdir(join(folder.path, "orders"), { mode: 0o700 });
    assert.equal(await store.load(names), null);
  });
});
